"""Values as cells of Avro: typed, and sealed where the catalogue says so."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from calstream_core.errors import Code, InvariantError, RecordError
from calstream_core.sealing import Box, Erased, Seal, Sealer
from calstream_schemas.entities.fields import Field, FieldType, kind_of
from calstream_schemas.entities.model import Stamp, Value, Values
from calstream_schemas.wire import END, FALSE, NULL, TRUE, blob, items, long, text

_SEALED = "calstream.Sealed"
_PYTHON: dict[FieldType, type] = {
    FieldType.TEXT: str,
    FieldType.WHOLE: int,
    FieldType.INSTANT: int,
    FieldType.FLAG: bool,
    FieldType.TEXTS: tuple,
}
CELL = ("null", "boolean", "long", "string", "Sealed", "strings")
"""The branches of the union that a cell is, in their order."""
_BRANCH: dict[FieldType, bytes] = {
    FieldType.TEXT: long(CELL.index("string")),
    FieldType.WHOLE: long(CELL.index("long")),
    FieldType.INSTANT: long(CELL.index("long")),
    FieldType.FLAG: long(CELL.index("boolean")),
    FieldType.TEXTS: long(CELL.index("strings")),
}


class Format:
    """How the values of one field are written and read.

    Attributes:
        field: the field.
        context: what its sealed values are bound to.
        named: what is written before a value in a map: the field's name and the branch of the
            union; of a null first, then of a value.
        placed: the same in a list of cells, where the field's place in the enum of fields stands.
        python: the type of a value.
        clear: the same where that is what fastavro reads, to be taken as it is.
    """

    __slots__ = ("clear", "context", "field", "named", "placed", "python")

    def __init__(self, kind: str, field: Field, place: int) -> None:
        self.field = field
        self.context = f"{kind}.{field.name}"
        branch = long(CELL.index("Sealed")) if field.sealed else _BRANCH[field.type]
        self.named = (text(field.name) + NULL, text(field.name) + branch)
        self.placed = (long(place) + NULL, long(place) + branch)
        self.python = _PYTHON[field.type]
        self.clear = None if field.sealed or self.python is tuple else self.python

    def payload(self, value: Value, seal: Seal) -> bytes:
        """A value without the branch of the union; not for None.

        Raises:
            InvariantError: the value is not of the field's type.
        """
        if type(value) is not self.python:
            if isinstance(value, Erased) and self.field.sealed:
                return text(value.box.key_id) + blob(value.box.data)
            raise self._impossible(value)
        if self.field.sealed:
            assert isinstance(value, str)
            key_id, data = seal.seal(self.context, value.encode())
            return text(key_id) + blob(data)
        if isinstance(value, str):
            return text(value)
        if isinstance(value, tuple):
            return items([text(one) for one in value])
        if self.python is bool:
            return TRUE if value else FALSE
        assert isinstance(value, int)
        return long(value)

    def read(self, value: Any, sealer: Sealer) -> Value:
        """What fastavro read of a cell; Erased where the key of a sealed value was destroyed.

        Raises:
            SecurityError: a sealed value does not open.
            RecordError: the value is not of the field's type; nobody of ours wrote it.
        """
        if value is None:
            return None
        if isinstance(value, dict):
            plain = sealer.open(self.context, Box(value["key_id"], value["box"]))
            if isinstance(plain, Erased):
                return plain
            value = plain.decode()
        found: Value = tuple(value) if isinstance(value, list) else value
        if type(found) is not self.python:
            raise RecordError(
                Code.RECORD_UNREADABLE, f"{self.context} can't hold a {type(found).__name__}."
            )
        return found

    def to_avro(self, value: Value, seal: Seal) -> Any:
        """What fastavro writes for a value.

        Raises:
            InvariantError: the value is not of the field's type.
        """
        if value is None:
            return None
        if isinstance(value, Erased):
            return (_SEALED, {"key_id": value.box.key_id, "box": value.box.data})
        if type(value) is not self.python:
            raise self._impossible(value)
        if self.field.sealed:
            assert isinstance(value, str)
            box = seal.seal(self.context, value.encode())
            return (_SEALED, {"key_id": box.key_id, "box": box.data})
        return list(value) if isinstance(value, tuple) else value

    def _impossible(self, value: Value) -> InvariantError:
        return InvariantError(
            Code.INVARIANT_BROKEN, f"{self.context} can't hold a {type(value).__name__}."
        )


@cache
def formats(kind: str) -> Mapping[str, Format]:
    """The formats of a kind's fields, by name and in the order of the names."""
    fields = sorted(kind_of(kind).field_by_name.items())
    return {name: Format(kind, field, place) for place, (name, field) in enumerate(fields, start=1)}


def write_cells(
    kind: str, values: Values, seal: Seal, out: list[bytes], *, placed: bool = False
) -> None:
    """Writes values in the order of their names: as a map, or as a list of cells.

    Args:
        kind: of the entity.
        values: by field.
        seal: for those that are sealed.
        out: takes what is written.
        placed: whether fields are written as their places in the enum: in a list of cells.

    Raises:
        InvariantError: a value is not of its field's type.
    """
    of_kind = formats(kind)
    if values:
        out.append(long(len(values)))
    for name, value in sorted(values.items()) if len(values) > 1 else values.items():
        format_ = of_kind[name]
        if_null, if_there = format_.placed if placed else format_.named
        if value is None:
            out.append(if_null)
        elif type(value) is str is format_.clear:  # most are texts that are not sealed
            out += (if_there, text(value))
        else:
            out += (if_there, format_.payload(value, seal))
    out.append(END)


def read_values(kind: str, cells: Mapping[str, Any], sealer: Sealer) -> Values:
    """What fastavro read of several cells.

    Raises:
        KeyError: the kind has no such field.
        SecurityError: see `Format.read`.
        RecordError: see there.
    """
    of_kind = formats(kind)
    found: dict[str, Value] = {}
    for name, value in cells.items():
        format_ = of_kind[name]
        is_clear = value is None or type(value) is format_.clear
        found[name] = value if is_clear else format_.read(value, sealer)
    return found


@lru_cache(4096)  # a copy's registers have the same stamp as a rule
def stamp_bytes(stamp: Stamp) -> bytes:
    """A stamp as Avro has it."""
    by_self = TRUE if stamp.by_self else FALSE
    return long(stamp.source_version) + long(stamp.modified_at) + by_self
