"""The larger part of an entity's record, encoded: copies, decisions and the truth.

Encoded by hand; see `calstream_schemas.wire`.
"""

from collections.abc import Mapping
from functools import cache

from calstream_core.sealing import Seal
from calstream_schemas.cells import Format, formats, stamp_bytes
from calstream_schemas.entities.fields import kind_of
from calstream_schemas.entities.model import Copy, Entity, Register
from calstream_schemas.wire import FALSE, NULL, TRUE, items, long, text

ENCODED_FROM = "copies"
"""The first of the record's fields that are encoded here."""

_PRESENT = long(1)
"""The second branch of a union with null."""


def encode_cells(entity: Entity, seal: Seal) -> bytes:
    """An entity's fields from `copies` on."""
    kind = entity.kind
    order = sorted(entity.copies)
    places = {id_: place for place, id_ in enumerate(order)}
    group_places, of_kind = _group_places(kind), formats(kind)
    values = entity.values
    out = [
        items([_copy(kind, entity.copies[id_], seal) for id_ in order]),
        items(
            [
                group_places[group] + long(places[decision.id]) + text(decision.rule)
                for group, decision in sorted(entity.decisions.items())
            ]
        ),
    ]
    for name in kind_of(kind).field_by_name:
        value = values.get(name)
        out.append(NULL if value is None else _PRESENT + of_kind[name].payload(value, seal))
    return b"".join(out)


def _copy(kind: str, copy: Copy, seal: Seal) -> bytes:
    group_places, field_places, of_kind = _group_places(kind), _field_places(kind), formats(kind)
    id_ = copy.id
    return b"".join(
        (
            text(id_.system),
            text(id_.object_type),
            text(id_.object_id),
            text(copy.role),
            TRUE if copy.gone else FALSE,
            items([long(modified_at) + long(at) for modified_at, at in copy.clamped]),
            items(
                [
                    group_places[group] + _register(register, field_places, of_kind, seal)
                    for group, register in sorted(copy.registers.items())
                ]
            ),
        )
    )


def _register(
    register: Register,
    field_places: Mapping[str, bytes],
    of_kind: Mapping[str, Format],
    seal: Seal,
) -> bytes:
    cells = [
        field_places[name] + of_kind[name].cell(value, seal)
        for name, value in sorted(register.values.items())
    ]
    differed = register.differed
    return b"".join(
        (
            items(cells),
            items([stamp_bytes(stamp) for stamp in register.stamps]),
            NULL if differed is None else _PRESENT + stamp_bytes(differed),
        )
    )


@cache
def _group_places(kind: str) -> Mapping[str, bytes]:
    """Each group's place in the enum of the kind's groups, as Avro has it; 0 is `unknown`."""
    groups = kind_of(kind).groups
    return {group.name: long(place) for place, group in enumerate(groups, start=1)}


@cache
def _field_places(kind: str) -> Mapping[str, bytes]:
    """The same for fields."""
    return {name: long(place) for place, name in enumerate(formats(kind), start=1)}
