"""Values as cells of Avro: typed, and sealed where the catalogue says so."""

from typing import Any

from calstream_core.errors import Code, InvariantError, RecordError
from calstream_core.sealing import Box, Erased, Seal, Sealer
from calstream_schemas.entities.fields import Field, FieldType
from calstream_schemas.entities.model import Value

_SEALED = "calstream.Sealed"
_PYTHON: dict[FieldType, type] = {
    FieldType.TEXT: str,
    FieldType.WHOLE: int,
    FieldType.INSTANT: int,
    FieldType.FLAG: bool,
    FieldType.TEXTS: tuple,
}


def to_avro(kind: str, field: Field, value: Value, seal: Seal) -> Any:
    """What fastavro writes for a field's value.

    Raises:
        InvariantError: the value is not of the field's type.
    """
    if value is None:
        return None
    if isinstance(value, Erased):
        return (_SEALED, {"key_id": value.box.key_id, "box": value.box.data})
    if type(value) is not _PYTHON[field.type]:
        raise InvariantError(
            Code.INVARIANT_BROKEN, f"{kind}.{field.name} can't hold a {type(value).__name__}."
        )
    if field.sealed:
        assert isinstance(value, str)
        box = seal.seal(f"{kind}.{field.name}", value.encode())
        return (_SEALED, {"key_id": box.key_id, "box": box.data})
    return list(value) if isinstance(value, tuple) else value


def from_avro(kind: str, field: Field, value: Any, sealer: Sealer) -> Value:
    """The inverse; Erased where the key of a sealed value was destroyed.

    Raises:
        SecurityError: a sealed value does not open.
        RecordError: the value is not of the field's type; nobody of ours wrote it.
    """
    if isinstance(value, dict):
        box = Box(value["key_id"], value["box"])
        plain = sealer.open(f"{kind}.{field.name}", box)
        if isinstance(plain, Erased):
            return plain
        value = plain.decode()
    found: Value = tuple(value) if isinstance(value, list) else value
    if found is not None and type(found) is not _PYTHON[field.type]:
        raise RecordError(
            Code.RECORD_UNREADABLE, f"{kind}.{field.name} can't hold a {type(found).__name__}."
        )
    return found
