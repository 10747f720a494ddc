"""What somebody wants a group to be, from what they typed or from what a system says."""

from collections.abc import Callable, Mapping, Sequence

from calstream_core.errors import RecordError
from calstream_processors.normalise.email import normalise_email
from calstream_processors.normalise.instant import parse_instant, wall_clock
from calstream_processors.normalise.name import normalise_name
from calstream_processors.normalise.phone import normalise_phone
from calstream_schemas.conflicts import Conflict
from calstream_schemas.entities import Entity, Field, FieldType, Group, Value, Values, kind_of

_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
_READERS: Mapping[str, Callable[[str], Value]] = {
    "email": normalise_email,
    "full_name": normalise_name,
}
_READERS_BY_TYPE: Mapping[FieldType, Callable[[str], Value]] = {
    FieldType.TEXT: str,
    FieldType.WHOLE: int,
    FieldType.TEXTS: lambda text: tuple(sorted(one.strip() for one in text.split(","))),
    FieldType.FLAG: lambda text: _FLAGS[text.lower()],
}


def values_of_system(conflict: Conflict, system: str) -> Values:
    """What a system says in a conflict.

    Raises:
        ValueError: it is none of those that differ, or has two objects that differ.
    """
    said = [voice.values for voice in conflict.voices if voice.id.system == system]
    if not said:
        known = ", ".join(sorted({voice.id.system for voice in conflict.voices}))
        raise ValueError(f"{system} is not in the conflict; {known} are")
    if any(values != said[0] for values in said):
        raise ValueError(f"{system} says two things itself; give the values with --value")
    return said[0]


def values_typed(entity: Entity, group: str, typed: Sequence[str], default_country: str) -> Values:
    """What somebody typed, `field=text` or the text alone where the group has one field.

    Fields that are not named stay as they are; an empty text says that a field is empty.

    Args:
        entity: as it is.
        group: of its kind.
        typed: one for each field.
        default_country: for phone numbers without one.

    Raises:
        ValueError: a field that the group does not have, or a text that is no value of it.
    """
    of_group = kind_of(entity.kind).group_by_name[group]
    texts = dict(_named(of_group, text) for text in typed)
    fields = {field.name: field for field in of_group.fields}
    values: dict[str, Value] = {name: entity.values.get(name) for name in fields}
    for name, text in texts.items():
        if name not in fields:
            raise ValueError(f"{group} has no field {name}; it has {', '.join(fields)}")
        try:
            values[name] = _value(fields[name], text, default_country) if text else None
        except RecordError as error:
            raise ValueError(f"{name}: {error.message}") from error
    return values | _derived(group, texts, values)


def _named(group: Group, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if equals and name in {field.name for field in group.fields}:
        return name, value.strip()
    if len(_typed_fields(group)) == 1:
        return _typed_fields(group)[0].name, text.strip()
    raise ValueError(f"{group.name} has several fields; write FIELD={text}")


def _typed_fields(group: Group) -> list[Field]:
    """The fields of a group that people give; the others follow from them."""
    return [field for field in group.fields if field.name not in {"phone_raw", "wall_start"}]


def _value(field: Field, text: str, default_country: str) -> Value:
    if field.name == "phone":
        number = normalise_phone(text, default_country)
        if number is None:
            raise ValueError("phone: no number that can be called from everywhere")
        return number
    if field.type is FieldType.INSTANT:
        return parse_instant(text, field.name)
    if field.type is FieldType.FLAG and text.lower() not in _FLAGS:
        raise ValueError(f"{field.name}: true or false")
    reader = _READERS.get(field.name) or _READERS_BY_TYPE[field.type]
    return reader(text)


def _derived(group: str, texts: Mapping[str, str], values: Values) -> dict[str, Value]:
    start, zone = values.get("start_at"), values.get("timezone")
    if group == "schedule" and isinstance(start, int) and isinstance(zone, str):
        return {"wall_start": wall_clock(start, zone)}
    if group == "phone" and "phone" in texts:
        return {"phone_raw": texts["phone"] or None}
    return {}
