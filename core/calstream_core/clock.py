"""Times as the log has them: whole microseconds since 1970 in UTC."""

import time
from datetime import UTC, datetime, timedelta

MICROSECONDS_PER_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now_microseconds() -> int:
    """The wall clock."""
    return time.time_ns() // 1000


def to_microseconds(moment: datetime) -> int:
    """A zoned datetime as microseconds; exact for every year."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The inverse, in UTC.

    Raises:
        OverflowError: beyond the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=microseconds)


def to_iso(microseconds: int) -> str:
    """ISO 8601 in UTC with `Z`, to the millisecond, as vendors take it."""
    text = from_microseconds(microseconds).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
