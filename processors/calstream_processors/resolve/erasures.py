"""The erasures of one workspace in memory: what is known again when it comes back. Pure."""

from collections.abc import Iterable, Iterator

from calstream_processors.resolve.matching import EMAIL, Keyed
from calstream_schemas.entities import Entity, NaturalId, entity_id
from calstream_schemas.erasures import Erasure, ErasureState

_HASH_BYTES = 12
_ANEW = frozenset({"contact", "consent"})
"""Kinds of which whoever comes again is another entity, not the one that was erased."""


class Erasures:
    """Finds the erasure of an object, a person or an entity.

    Derived from the records of `erasures`. Empty in most workspaces, and then it costs nothing.

    Args:
        keyed: hashes what is compared.
    """

    def __init__(self, keyed: Keyed) -> None:
        self._keyed = keyed
        self._by_id: dict[str, Erasure] = {}
        self._by_object: dict[bytes, str] = {}
        self._by_person: dict[bytes, str] = {}
        self._by_entity: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def __iter__(self) -> Iterator[Erasure]:
        return iter(self._by_id.values())

    def put(self, erasure: Erasure) -> None:
        """Takes a record in; of the same object or person the later erasure counts."""
        self._by_id[erasure.id] = erasure
        for hashes, index in (
            (erasure.objects, self._by_object),
            (erasure.people, self._by_person),
        ):
            for hash_ in hashes:
                known = self._by_id.get(index.get(hash_, ""))
                if known is None or known.asked_at <= erasure.asked_at:
                    index[hash_] = erasure.id
        for entity in erasure.entities:
            known = self._by_id.get(self._by_entity.get(entity, ""))
            if known is None or known.asked_at <= erasure.asked_at:
                self._by_entity[entity] = erasure.id

    def hash_of(self, kind: str, natural_id: NaturalId) -> bytes:
        """What stands for an object in a record."""
        return self._keyed("erasure.object", f"{kind}/{natural_id}".encode())[:_HASH_BYTES]

    def of_object(self, kind: str, natural_id: NaturalId) -> Erasure | None:
        """The erasure with which an object went."""
        return self._by_id.get(self._by_object.get(self.hash_of(kind, natural_id), ""))

    def of_person(self, match_keys: Iterable[bytes]) -> Erasure | None:
        """The last erasure of somebody who is known by one of these keys."""
        found = [self._by_id[self._by_person[key]] for key in match_keys if key in self._by_person]
        return max(found, key=lambda erasure: (erasure.asked_at, erasure.id), default=None)

    def of_entity(self, kind: str, id_: str) -> Erasure | None:
        """The erasure that an entity is part of."""
        return self._by_id.get(self._by_entity.get(f"{kind}/{id_}", ""))

    def is_gone(self, kind: str, id_: str) -> bool:
        """Whether nothing is ever said again of an entity: whoever comes is another one."""
        return kind in _ANEW and f"{kind}/{id_}" in self._by_entity

    def is_going(self, entity: Entity) -> bool:
        """Whether an entity will be erased once the sinks have answered."""
        erasure = self.of_entity(entity.kind, entity.id)
        return erasure is not None and erasure.state is ErasureState.ASKED

    def fresh_id(self, workspace: str, kind: str, natural_id: NaturalId) -> str:
        """The id of an entity that `natural_id` is the first to name, or to name again."""
        found = entity_id(workspace, kind, natural_id)
        while self.is_gone(kind, found):
            erasure = self.of_entity(kind, found)
            assert erasure is not None
            natural_id = natural_id._replace(object_id=f"{natural_id.object_id}~{erasure.asked_at}")
            found = entity_id(workspace, kind, natural_id)
        return found


def people_of(match_keys: Iterable[bytes]) -> list[bytes]:
    """The keys by which a person is known for certain: their own addresses."""
    return [key for key in match_keys if key[:1] == EMAIL]
