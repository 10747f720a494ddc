"""Which ids have a key: one of them in most cases, so that one is kept without a container."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Postings(Generic[K]):
    """Ids by key, in order of the ids whatever the order in which they came."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[K, str | tuple[str, ...]] = {}

    def get(self, key: K) -> tuple[str, ...]:
        """The ids that have a key, in order."""
        found = self._ids.get(key)
        if found is None:
            return ()
        return found if isinstance(found, tuple) else (found,)

    def first(self, key: K) -> str | None:
        """The least of the ids that have a key, or None."""
        found = self._ids.get(key)
        return found[0] if isinstance(found, tuple) else found

    def add(self, key: K, id_: str) -> None:
        """Takes note that an id has a key."""
        found = self._ids.get(key)
        if found is None:
            self._ids[key] = id_
        elif found != id_:
            self._ids[key] = tuple(sorted({*self.get(key), id_}))

    def discard(self, key: K, id_: str) -> None:
        """Takes note that an id has a key no longer."""
        left = tuple(one for one in self.get(key) if one != id_)
        if len(left) > 1:
            self._ids[key] = left
        elif left:
            self._ids[key] = left[0]
        else:
            self._ids.pop(key, None)
