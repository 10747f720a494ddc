"""The stored records, with the indexes of their unique values."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from calstream_sandbox.hubspot.definitions import CREATED, MODIFIED, RECORD_ID
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.times import property_time

_FIRST_ID = 501


@dataclass(slots=True)
class Record:
    """One object. `properties` is replaced as a whole, never changed in place: others hold it."""

    kind: ObjectKind
    id: int
    properties: Mapping[str, str]
    created_ms: int
    updated_ms: int
    archived_ms: int | None = None


class RecordStore:
    """Records by kind and id. Ids rise across kinds, so no id ever fits two kinds."""

    def __init__(self) -> None:
        self._next_id = _FIRST_ID
        self._by_kind: dict[ObjectKind, dict[int, Record]] = {kind: {} for kind in ObjectKind}
        self._ids: dict[ObjectKind, list[int]] = {kind: [] for kind in ObjectKind}  # for paging
        self._unique: dict[tuple[ObjectKind, str], dict[str, int]] = {}

    def wipe(self) -> None:
        """Forgets every record; ids go on rising."""
        for kind, records in self._by_kind.items():
            records.clear()
            self._ids[kind].clear()
        for index in self._unique.values():
            index.clear()

    def add(
        self, kind: ObjectKind, values: Mapping[str, str], unique: Iterable[str], now_ms: int
    ) -> Record:
        """Stores a new record with these canonical values."""
        record = Record(kind, self._next_id, {}, now_ms, now_ms)
        self._next_id += 1
        self._by_kind[kind][record.id] = record
        self._ids[kind].append(record.id)
        system = {CREATED[kind]: property_time(now_ms), RECORD_ID: str(record.id)}
        self.change(record, {**values, **system}, unique, now_ms)
        return record

    def change(
        self, record: Record, values: Mapping[str, str], unique: Iterable[str], now_ms: int
    ) -> None:
        """Writes canonical values over a record's; an empty one clears. Marks it as modified."""
        merged = {**record.properties, **values, MODIFIED[record.kind]: property_time(now_ms)}
        for name in unique:
            if name in values:
                self._index(record, name, values[name])
        record.properties = {name: value for name, value in merged.items() if value != ""}
        record.updated_ms = now_ms

    def archive(self, record: Record, now_ms: int) -> None:
        """Hides a record and frees its unique values."""
        record.archived_ms = now_ms
        for (kind, name), index in self._unique.items():
            if kind is record.kind and name in record.properties:
                index.pop(record.properties[name], None)

    def purge(self, record: Record) -> None:
        """Removes a record for ever, archived or not; its id is never used again."""
        if record.archived_ms is None:
            self.archive(record, record.updated_ms)
        del self._by_kind[record.kind][record.id]
        self._ids[record.kind].remove(record.id)

    def drop_property(self, kind: ObjectKind, name: str) -> None:
        """Forgets the values of a property that is gone."""
        self._unique.pop((kind, name), None)
        for record in self._by_kind[kind].values():
            if name in record.properties:
                kept = {key: value for key, value in record.properties.items() if key != name}
                record.properties = kept

    def get(self, kind: ObjectKind, record_id: str, *, archived: bool = False) -> Record | None:
        """The record with this id, if it is archived or not as asked for."""
        if not (record_id.isascii() and record_id.isdecimal()):
            return None
        record = self._by_kind[kind].get(int(record_id))
        return record if record and (record.archived_ms is not None) == archived else None

    def find(self, kind: ObjectKind, name: str, value: str) -> Record | None:
        """The live record with this canonical value of a unique property."""
        record_id = self._unique.get((kind, name), {}).get(value)
        return None if record_id is None else self._by_kind[kind][record_id]

    def live(self, kind: ObjectKind) -> Iterator[Record]:
        """Every record that is not archived, by id."""
        return (record for record in self._by_kind[kind].values() if record.archived_ms is None)

    def page(self, kind: ObjectKind, *, after: int, limit: int, archived: bool) -> list[Record]:
        """At most `limit` records with an id above `after`, by id."""
        records = self._by_kind[kind]
        ids = self._ids[kind]
        later = (records[record_id] for record_id in islice(ids, bisect_right(ids, after), None))
        fitting = (record for record in later if (record.archived_ms is not None) == archived)
        return list(islice(fitting, limit))

    def _index(self, record: Record, name: str, value: str) -> None:
        index = self._unique.setdefault((record.kind, name), {})
        old = record.properties.get(name)
        if old is not None:
            index.pop(old, None)
        if value:
            index[value] = record.id
