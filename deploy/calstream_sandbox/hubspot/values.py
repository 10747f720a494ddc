"""Property values: what HubSpot takes for each type, and what it makes of it.

Sources: HubSpot's properties guide, and its change of April 2025 that refuses blanks around every
value that is no string. An empty string clears a property, whatever its type.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from calstream_sandbox.hubspot.definitions import EMAIL, OWNER, Definition
from calstream_sandbox.hubspot.errors import Issue
from calstream_sandbox.hubspot.times import from_epoch_ms, property_time, to_epoch_ms

MAX_VALUE_CHARACTERS = 65_536

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"\\]+@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_MS = 86_400_000


class _NotTakenError(Exception):
    """A value that its type refuses; holds the code and the sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def canonical(
    definition: Definition, value: str, *, owner_exists: Callable[[str], bool]
) -> str | Issue:
    """The value as HubSpot keeps it, or why it does not take it. Pure apart from `owner_exists`."""
    if value == "":
        return value
    try:
        if definition.name == OWNER:
            return _owner(value, owner_exists)
        return _CHECKS[definition.type](definition, value)
    except _NotTakenError as refused:
        return Issue(definition.name, refused.code, refused.message)


def instant_ms(value: str) -> int | None:
    """Epoch milliseconds of ISO 8601 with a zone, of a plain day (UTC) or of epoch milliseconds."""
    try:
        if _INTEGER.fullmatch(value):
            epoch_ms = int(value)
            from_epoch_ms(epoch_ms)
            return epoch_ms
        if _DAY.fullmatch(value):
            return to_epoch_ms(datetime.fromisoformat(value).replace(tzinfo=UTC))
        time = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return None
    return None if time.tzinfo is None else to_epoch_ms(time)


def _owner(value: str, owner_exists: Callable[[str], bool]) -> str:
    if not owner_exists(value):
        raise _NotTakenError("INVALID_OWNER_ID", f"Owner {value} does not exist")
    return value


def _text(definition: Definition, value: str) -> str:
    if definition.name == EMAIL:
        value = value.strip().lower()
        if not _EMAIL.fullmatch(value):
            raise _NotTakenError("INVALID_EMAIL", f"Email address {value} is invalid")
    if len(value) > MAX_VALUE_CHARACTERS:
        raise _NotTakenError(
            "VALUE_TOO_LONG",
            f"The value has {len(value)} characters, the limit is {MAX_VALUE_CHARACTERS}",
        )
    return value


def _number(_: Definition, value: str) -> str:
    if not _NUMBER.fullmatch(value):
        raise _NotTakenError("INVALID_NUMBER", f"{value} was not a valid number.")
    return value


def _datetime(_: Definition, value: str) -> str:
    epoch_ms = instant_ms(value)
    if epoch_ms is None:
        raise _NotTakenError("INVALID_LONG", f"{value} was not a valid long.")
    return property_time(epoch_ms)


def _date(_: Definition, value: str) -> str:
    if _INTEGER.fullmatch(value):
        epoch_ms = instant_ms(value)
        if epoch_ms is None or epoch_ms % _DAY_MS:
            raise _NotTakenError("INVALID_DATE", f"{value} is not at midnight UTC")
        return from_epoch_ms(epoch_ms).date().isoformat()
    if not _DAY.fullmatch(value) or instant_ms(value) is None:
        raise _NotTakenError("INVALID_DATE", f"{value} was not a valid date.")
    return value


def _option(definition: Definition, value: str) -> str:
    allowed = [option.value for option in definition.options]
    chosen = value.split(";") if definition.field_type == "checkbox" else [value]
    for one in chosen:
        if one not in allowed:
            raise _NotTakenError(
                "INVALID_OPTION", f"{one} was not one of the allowed options: {allowed}"
            )
    return value


def _bool(_: Definition, value: str) -> str:
    if value not in {"true", "false"}:
        raise _NotTakenError(
            "INVALID_OPTION", f"{value} was not one of the allowed options: ['true', 'false']"
        )
    return value


_CHECKS: dict[str, Callable[[Definition, str], str]] = {
    "string": _text,
    "phone_number": _text,
    "number": _number,
    "datetime": _datetime,
    "date": _date,
    "enumeration": _option,
    "bool": _bool,
}
