"""How one value is written for HubSpot and read back. Pure, and the inverse as far as there is one.

A transform takes and gives tuples, in the order of the mapping's row. A shorter tuple says nothing
of the rest: `()` means that the value can't be told on the other side.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from calstream_core.clock import to_iso, to_microseconds
from calstream_core.sealing import Erased
from calstream_schemas.entities import Value

Texts = tuple[str | None, ...]
OurValues = tuple[Value, ...]

_E164 = re.compile(r"\+[1-9]\d{1,14}")
_WHOLE = re.compile(r"-?\d{1,15}(\.0*)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCATION_KINDS = frozenset({"zoom", "phone", "in_person", "other"})

OUTCOME_BY_STATUS: Mapping[str, str] = {
    "tentative": "SCHEDULED",
    "confirmed": "SCHEDULED",
    "completed": "COMPLETED",
    "no_show": "NO_SHOW",
    "cancelled": "CANCELED",
}
STATUS_BY_OUTCOME: Mapping[str, str] = {
    "SCHEDULED": "confirmed",
    "RESCHEDULED": "confirmed",  # the meeting is still on
    "COMPLETED": "completed",
    "NO_SHOW": "no_show",
    "CANCELED": "cancelled",
}


@dataclass(frozen=True, slots=True)
class Transform:
    """One way to write a value and to read it back.

    Attributes:
        summary: for the mapping table in the documentation.
        write: from our values to HubSpot's texts.
        read: from HubSpot's texts to our values.
    """

    summary: str
    write: Callable[[OurValues], Texts]
    read: Callable[[Texts], OurValues]


def clean(text: str | None) -> str | None:
    """A property's text without surrounding white space; HubSpot has "" and null for empty."""
    return (text or "").strip() or None


def parse_instant(text: str | None) -> int | None:
    """Microseconds of a HubSpot time: ISO 8601, or epoch milliseconds as older replies have.

    None where it is empty or can't be read.
    """
    cleaned = clean(text)
    if cleaned is None:
        return None
    try:
        if cleaned.lstrip("-").isdigit():
            moment = _EPOCH + timedelta(milliseconds=int(cleaned))
        else:
            moment = datetime.fromisoformat(cleaned)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return to_microseconds(moment)


def canonical_instant(text: str | None) -> str | None:
    """A HubSpot time in the form in which we write it; what can't be read stays as it is."""
    microseconds = parse_instant(text)
    return clean(text) if microseconds is None else to_iso(microseconds)


def _text(value: Value) -> str | None:
    return None if value is None or isinstance(value, Erased) else clean(str(value))


def _write_text(values: OurValues) -> Texts:
    return (_text(values[0]),)


def _read_text(texts: Texts) -> OurValues:
    return (clean(texts[0]),)


def _write_instant(values: OurValues) -> Texts:
    moment = values[0]
    return (to_iso(moment) if isinstance(moment, int) else None,)


def _read_instant(texts: Texts) -> OurValues:
    microseconds = parse_instant(texts[0])
    return () if microseconds is None and clean(texts[0]) else (microseconds,)


def _write_whole(values: OurValues) -> Texts:
    return (str(values[0]) if isinstance(values[0], int) else None,)


def _read_whole(texts: Texts) -> OurValues:
    text = clean(texts[0])
    if text is None:
        return (None,)
    return (int(text.partition(".")[0]),) if _WHOLE.fullmatch(text) else ()


def _write_name(values: OurValues) -> Texts:
    words = (_text(values[0]) or "").split()
    return (words[0] if words else None, " ".join(words[1:]) or None)


def _read_name(texts: Texts) -> OurValues:
    parts = [part for text in texts if (part := clean(text))]
    return (" ".join(parts) or None,)


def _write_phone(values: OurValues) -> Texts:
    number, raw = values
    return (_text(number) or _text(raw),)


def _read_phone(texts: Texts) -> OurValues:
    text = clean(texts[0])
    if text is None or _E164.fullmatch(text):
        return (text,)
    return (None, text)


def _write_outcome(values: OurValues) -> Texts:
    outcome = OUTCOME_BY_STATUS.get(str(values[0]))
    return (outcome,) if outcome else ()


def _read_outcome(texts: Texts) -> OurValues:
    status = STATUS_BY_OUTCOME.get(texts[0] or "")
    return (status,) if status else ()


def _write_location(values: OurValues) -> Texts:
    join_url, kind = values
    return (_text(join_url) or _text(kind),)


def _read_location(texts: Texts) -> OurValues:
    text = clean(texts[0])
    if text is None:
        return (None, None)
    if "://" in text:
        return (text,)
    return (None, text if text in _LOCATION_KINDS else "other")


TEXT = Transform("as it is", _write_text, _read_text)
INSTANT = Transform("ISO 8601, UTC", _write_instant, _read_instant)
WHOLE = Transform("as a number", _write_whole, _read_whole)
NAME = Transform("first word, the other words", _write_name, _read_name)
PHONE = Transform("E.164, else as it was given", _write_phone, _read_phone)
OUTCOME = Transform(
    "; ".join(f"{ours}: {theirs}" for ours, theirs in OUTCOME_BY_STATUS.items()),
    _write_outcome,
    _read_outcome,
)
LOCATION = Transform("the link, else the kind", _write_location, _read_location)
