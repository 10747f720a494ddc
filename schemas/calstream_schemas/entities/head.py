"""The head of an entity's record: what indexes are made of, read without the rest.

To read a whole record takes fifty times as long, and opens what is sealed.
"""

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

import fastavro
from fastavro.schema import parse_schema

from calstream_core.errors import Code
from calstream_schemas.codec import Poison, schema_of
from calstream_schemas.entities.due import expires_at
from calstream_schemas.entities.fields import KINDS, kind_of
from calstream_schemas.entities.model import Entity, entity_key
from calstream_schemas.entities.slot import (
    BOOKING,
    SERIES,
    Occurrence,
    SeriesRule,
    Slot,
    occurrence_of,
    series_rule_of,
    slot_from_avro,
    slot_of,
)

LEARNED = frozenset({"contact", "booking"})
"""Kinds whose objects may turn out to belong to an entity that we have: which one is known once the
object is. Every other kind's id follows from what its system calls it."""

_INDEXED = LEARNED | {"attendance"}
"""Kinds that are asked who refers to them."""

_LAST_FIELDS = ("occurrence", "rule", "apart")  # of bookings, series, all other kinds
_KIND_BY_RECORD = {kind.record: kind.name for kind in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an entity without reading what systems said of it.

    Attributes:
        objects: the natural ids of its copies, as texts.
        targets: what it refers to; see `targets_of`.
        match_keys: see `Entity`.
        merged_into: the id of the entity that it was merged into.
        apart: see `Entity`.
        expires_at, deleted_at: when it is due; see `entities.due`.
        slot, occurrence: of a booking the time that it takes, and its place in a series.
        rule: of a series what it says of its occurrences.
    """

    workspace: str
    kind: str
    id: str
    objects: tuple[str, ...]
    targets: tuple[str, ...]
    match_keys: tuple[bytes, ...]
    merged_into: str | None
    apart: tuple[str, ...]
    expires_at: int | None = None
    deleted_at: int | None = None
    slot: Slot | None = None
    occurrence: Occurrence | None = None
    rule: SeriesRule | None = None

    @property
    def key(self) -> str:
        """The record's key."""
        return entity_key(self.workspace, self.kind, self.id)


def head_of(entity: Entity) -> Head:
    """The head of an entity that is at hand."""
    return Head(
        workspace=entity.workspace,
        kind=entity.kind,
        id=entity.id,
        objects=tuple(str(id_) for id_ in sorted(entity.copies)),
        targets=targets_of(entity),
        match_keys=entity.match_keys,
        merged_into=entity.merge.into if entity.merge else None,
        apart=entity.apart,
        expires_at=expires_at(entity),
        deleted_at=entity.deleted_at,
        slot=slot_of(entity) if entity.kind == BOOKING else None,
        occurrence=occurrence_of(entity) if entity.kind == BOOKING else None,
        rule=series_rule_of(entity) if entity.kind == SERIES else None,
    )


def targets_of(entity: Entity) -> tuple[str, ...]:
    """The objects that an entity refers to, of the kinds that are asked, as `kind/natural id`."""
    return tuple(
        f"{field.reference}/{text}"
        for _group, field in kind_of(entity.kind).references
        if field.reference in _INDEXED and isinstance(text := entity.values.get(field.name), str)
    )


def decode_head(raw: bytes) -> Head | Poison:
    """Reads the head of an entity's value; never raises for what is in it."""
    schema = schema_of(raw)
    kind = _KIND_BY_RECORD.get(schema.record) if schema else None
    if schema is None or kind is None:
        return Poison(raw, Code.RECORD_UNREADABLE, "no entity")
    stream = io.BytesIO(raw)
    stream.seek(len(schema.header))
    try:
        body: Any = fastavro.schemaless_reader(stream, _head_schema(schema.header), None)
    except Exception as error:  # noqa: BLE001 - fastavro raises many kinds for broken bytes
        return Poison(raw, Code.RECORD_UNREADABLE, f"not readable as {schema.record}: {error!r}")
    merge = body["merge"]
    return Head(
        body["workspace"],
        kind,
        body["id"],
        tuple(body["objects"]),
        tuple(body["targets"]),
        tuple(body["match_keys"]),
        merge["into"] if merge else None,
        tuple(body["apart"]),
        body["expires_at"],
        body["deleted_at"],
        *slot_from_avro(body),
    )


@cache
def _head_schema(header: bytes) -> Any:
    """The first fields of a schema as a schema: Avro writes a record's fields one after another."""
    schema = schema_of(header)
    assert schema is not None
    fields = schema.without_logical_types["fields"]
    names = [field["name"] for field in fields]
    last = next(names.index(name) for name in _LAST_FIELDS if name in names)
    return parse_schema(
        {"type": "record", "name": f"calstream.{schema.record}Head", "fields": fields[: last + 1]}
    )
