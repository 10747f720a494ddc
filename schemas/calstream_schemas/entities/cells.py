"""The larger part of an entity's record, encoded: copies, decisions and the truth.

Encoded by hand; see `calstream_schemas.wire`.
"""

from collections.abc import Mapping
from functools import cache

from calstream_core.sealing import Seal
from calstream_schemas.cells import Format, formats, stamp_bytes, write_cells
from calstream_schemas.entities.fields import kind_of
from calstream_schemas.entities.model import Copy, Entity
from calstream_schemas.wire import END, NULL, items, long, text, word

ENCODED_FROM = "copies"
"""The first of the record's fields that are encoded here."""

_PRESENT = long(1)
"""The second branch of a union with null."""


def encode_cells(entity: Entity, seal: Seal) -> bytes:
    """An entity's fields from `copies` on."""
    kind, out = entity.kind, list[bytes]()
    order = sorted(entity.copies)
    if order:
        out.append(long(len(order)))
    for id_ in order:
        _copy(kind, entity.copies[id_], seal, out)
    out.append(END)
    group_places = _group_places(kind)
    places = {id_: long(place) for place, id_ in enumerate(order)}
    out.append(
        items(
            [
                group_places[group] + places[decision.id] + word(decision.rule)
                for group, decision in sorted(entity.decisions.items())
            ]
        )
    )
    values = entity.values
    for name, format_ in _truth(kind):
        value = values.get(name)
        if value is None:
            out.append(NULL)
        else:
            out += (_PRESENT, format_.payload(value, seal))
    return b"".join(out)


def _copy(kind: str, copy: Copy, seal: Seal, out: list[bytes]) -> None:
    id_ = copy.id
    out += (word(id_.system), word(id_.object_type), text(id_.object_id), word(copy.role))
    out.append(NULL if copy.gone_at is None else _PRESENT + long(copy.gone_at))
    out.append(items([long(modified_at) + long(at) for modified_at, at in copy.clamped]))
    group_places = _group_places(kind)
    if copy.registers:
        out.append(long(len(copy.registers)))
    for group, register in sorted(copy.registers.items()):
        out.append(group_places[group])
        write_cells(kind, register.values, seal, out, placed=True)
        out.append(items([stamp_bytes(stamp) for stamp in register.stamps]))
        differed = register.differed
        out.append(NULL if differed is None else _PRESENT + stamp_bytes(differed))
    out.append(END)


@cache
def _group_places(kind: str) -> Mapping[str, bytes]:
    """Each group's place in the enum of the kind's groups, as Avro has it; 0 is `unknown`."""
    groups = kind_of(kind).groups
    return {group.name: long(place) for place, group in enumerate(groups, start=1)}


@cache
def _truth(kind: str) -> tuple[tuple[str, Format], ...]:
    """The kind's fields in the order of the record."""
    return tuple((name, formats(kind)[name]) for name in kind_of(kind).field_by_name)
