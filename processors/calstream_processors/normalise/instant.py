"""Points in time: from what vendors write to microseconds in UTC."""

from datetime import UTC, datetime

from calstream_core.clock import from_microseconds, to_microseconds
from calstream_core.errors import Code, RecordError
from calstream_core.zones import zone_of

MAX_AHEAD_MICROSECONDS = 5 * 60 * 1_000_000
"""How far a source's clock may be ahead of ours before we stop believing it."""


def parse_instant(text: str, field: str) -> int:
    """Reads an ISO 8601 time with an offset or `Z`.

    Raises:
        RecordError: it is no time, or names no offset: a guess would move the meeting.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            raise RecordError(Code.TIME_INVALID, "a time without an offset", field=field)
        # what vendors write ends in Z as a rule, and is in UTC already
        return to_microseconds(moment if moment.tzinfo is UTC else moment.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise RecordError(Code.TIME_INVALID, "not a time", field=field) from error


def clamp(modified_at: int, received_at: int) -> int:
    """A source's time of change, unless it lies in the future: then when we received it."""
    return received_at if modified_at > received_at + MAX_AHEAD_MICROSECONDS else modified_at


def wall_clock(instant: int, zone: str) -> str | None:
    """The wall time of an instant in a zone, or None where there is no such zone."""
    known = zone_of(zone)
    if known is None:
        return None
    try:
        local = from_microseconds(instant).astimezone(known)
    except (OverflowError, ValueError):
        return None
    return local.replace(tzinfo=None).isoformat(timespec="seconds")
