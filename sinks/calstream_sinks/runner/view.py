"""The runner's local copy of `entities` and of the sink's ledger, for the partitions it owns."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from calstream_schemas.entities import Entity, Merge, entity_key, kind_of_key
from calstream_schemas.ledger import LedgerEntry


class LocalView:
    """Entities and ledger entries by key, with the indexes a sink may ask. Fulfils `View`."""

    def __init__(self) -> None:
        self._entities: dict[str, Entity] = {}
        self._ledger: dict[str, LedgerEntry] = {}
        self._partition_keys: dict[int, set[str]] = defaultdict(set)
        self._referring: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._waiting: dict[str, set[str]] = defaultdict(set)
        self._members: dict[str, set[str]] = defaultdict(set)
        self._holding: dict[tuple[str, str], set[str]] = defaultdict(set)

    def entity(self, key: str) -> Entity | None:
        """The newest version of an entity, if it is known."""
        return self._entities.get(key)

    def referring(self, kind: str, field: str, entity_id: str) -> Iterable[Entity]:
        """The entities of a kind whose reference field points to an entity, in order of id."""
        keys = self._referring.get((field, entity_id), set())
        found = (self._entities[key] for key in sorted(keys))
        return [entity for entity in found if entity.kind == kind]

    def external_id(self, key: str) -> str | None:
        """The id of an entity at this vendor, once it was written there."""
        entry = self._ledger.get(key)
        return entry.external_id if entry else None

    def ledger(self, key: str) -> LedgerEntry | None:
        """The ledger entry of an entity."""
        return self._ledger.get(key)

    def waiting_for(self, key: str) -> frozenset[str]:
        """The keys that wait for a key to move."""
        return frozenset(self._waiting.get(key, ()))

    def merged_into(self, key: str) -> list[str]:
        """The keys of the entities that were merged into one, and of those merged into them."""
        found: list[str] = []
        for member in sorted(self._members.get(key, ())):
            found += [member, *self.merged_into(member)]
        return found

    def holding(self, like: str, external_id: str) -> list[str]:
        """The keys whose ledger entries name an object, of the workspace and kind of a key."""
        return sorted(self._holding.get(_object(like, external_id), ()))

    def keys(self, partitions: Collection[int], kinds: Collection[str]) -> Iterator[str]:
        """The keys of these partitions and kinds."""
        for partition in partitions:
            for key in sorted(self._partition_keys[partition]):
                entity = self._entities.get(key)
                if entity is not None and entity.kind in kinds:
                    yield key

    def ledger_entries(self) -> Iterator[tuple[str, LedgerEntry]]:
        """Every entry of the ledger."""
        yield from self._ledger.items()

    def put_entity(self, partition: int, entity: Entity) -> bool:
        """Takes a version in; False if a newer one is known already."""
        known = self._entities.get(entity.key)
        if known is not None:
            if known.version > entity.version:
                return False
            self._forget_references(known)
        if entity.merge is not None:
            self._members[_survivor_key(entity, entity.merge)].add(entity.key)
        self._entities[entity.key] = entity
        self._partition_keys[partition].add(entity.key)
        for field, id_ in entity.references.items():
            self._referring[field, id_].add(entity.key)
        return True

    def drop_entity(self, key: str) -> None:
        """Forgets an entity that is no more; its ledger entry stays until somebody removes it."""
        known = self._entities.pop(key, None)
        if known is not None:
            self._forget_references(known)

    def left_over(self, partition: int, kinds: Collection[str]) -> list[str]:
        """The keys of ledger entries of these kinds whose entities are no more."""
        return [
            key
            for key in sorted(self._partition_keys[partition])
            if key in self._ledger and key not in self._entities and kind_of_key(key) in kinds
        ]

    def put_ledger(self, partition: int, key: str, entry: LedgerEntry | None) -> None:
        """Takes a ledger entry in; None removes it."""
        known = self._ledger.pop(key, None)
        if known is not None and known.waiting_for:
            self._waiting[known.waiting_for].discard(key)
        if known is not None and known.external_id is not None:
            self._release(key, known.external_id)
        if entry is not None:
            self._ledger[key] = entry
            self._partition_keys[partition].add(key)
            if entry.waiting_for:
                self._waiting[entry.waiting_for].add(key)
            if entry.external_id is not None:
                self._holding[_object(key, entry.external_id)].add(key)

    def drop_partition(self, partition: int) -> None:
        """Forgets a partition that another worker owns now."""
        for key in self._partition_keys.pop(partition, set()):
            known = self._entities.pop(key, None)
            if known is not None:
                self._forget_references(known)
            self.put_ledger(partition, key, None)

    def _release(self, key: str, external_id: str) -> None:
        held = _object(key, external_id)
        self._holding[held].discard(key)
        if not self._holding[held]:
            del self._holding[held]

    def _forget_references(self, entity: Entity) -> None:
        for field, id_ in entity.references.items():
            self._referring[field, id_].discard(entity.key)
        if entity.merge is not None:
            self._members[_survivor_key(entity, entity.merge)].discard(entity.key)


def _object(key: str, external_id: str) -> tuple[str, str]:
    return key.rpartition("/")[0], external_id


def _survivor_key(entity: Entity, merge: Merge) -> str:
    return entity_key(entity.workspace, entity.kind, merge.into)


class AskedView:
    """A view that remembers of which entities a sink wanted to know the vendor's id."""

    def __init__(self, view: LocalView) -> None:
        self._view = view
        self.asked: set[str] = set()

    def entity(self, key: str) -> Entity | None:
        """See `LocalView`."""
        return self._view.entity(key)

    def referring(self, kind: str, field: str, entity_id: str) -> Iterable[Entity]:
        """See `LocalView`."""
        return self._view.referring(kind, field, entity_id)

    def external_id(self, key: str) -> str | None:
        """See `LocalView`."""
        self.asked.add(key)
        return self._view.external_id(key)
