"""When entities of a workspace are due: so a tick looks at those alone. Derived state."""

import heapq
from collections.abc import Iterator

from calstream_schemas.entities.head import Head


class Agenda:
    """Keys by the instant at which each is due. An entry that was changed is dropped when met."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def put(self, key: str, instant: int | None) -> None:
        """Makes a key due at an instant; None takes it out."""
        if instant is None:
            self._at.pop(key, None)
        elif self._at.get(key) != instant:
            self._at[key] = instant
            heapq.heappush(self._heap, (instant, key))

    def first(self) -> int | None:
        """The instant at which the next one is due."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, until: int, most: int) -> Iterator[tuple[str, int]]:
        """Takes out what is due by an instant, the earliest first, at most so many."""
        for _ in range(most):
            first = self.first()
            if first is None or first > until:
                return
            _, key = heapq.heappop(self._heap)
            yield key, self._at.pop(key)


class DueTimes:
    """The due times of one workspace.

    Attributes:
        expiring: when holds and messages end by themselves.
        deleted: since when no system has an entity any more.
    """

    def __init__(self) -> None:
        self.expiring = Agenda()
        self.deleted = Agenda()

    def put(self, head: Head) -> None:
        """Takes a new version in."""
        key = head.key
        self.expiring.put(key, head.expires_at)
        self.deleted.put(key, head.deleted_at)

    def drop(self, key: str) -> None:
        """Takes an entity out."""
        self.expiring.put(key, None)
        self.deleted.put(key, None)

    def first(self, kept_microseconds: int) -> int | None:
        """The instant at which a tick will have something to do next.

        Args:
            kept_microseconds: for how long what is deleted is kept.
        """
        deleted = self.deleted.first()
        instants = [self.expiring.first(), None if deleted is None else deleted + kept_microseconds]
        return min((each for each in instants if each is not None), default=None)
