"""Times of records for people."""

from calstream_core.clock import to_iso

_MICROSECONDS_PER_MILLISECOND = 1000


def readable(microseconds: int) -> str:
    """ISO 8601 in UTC; the number itself where no calendar has such a time."""
    try:
        return to_iso(microseconds)
    except OverflowError:
        return str(microseconds)


def readable_milliseconds(milliseconds: int) -> str:
    """The same for a record's timestamp."""
    return readable(milliseconds * _MICROSECONDS_PER_MILLISECOND)
