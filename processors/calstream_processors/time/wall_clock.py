"""From the wall clock of a zone to points in time, as RFC 5545 has it. Pure."""

from datetime import UTC, datetime, tzinfo

from calstream_core.clock import from_microseconds, to_microseconds
from calstream_core.errors import Code, RecordError
from calstream_core.zones import zone_of


def known_zone(name: str | None) -> tzinfo:
    """The zone with an IANA name.

    Raises:
        RecordError: there is none.
    """
    zone = zone_of(name) if name else None
    if zone is None:
        raise RecordError(Code.TIME_INVALID, "an unknown zone", field="timezone")
    return zone


def instant_of(wall: datetime, zone: tzinfo) -> int:
    """The instant, in microseconds, at which the clocks of a zone show a time.

    A time that comes twice, when clocks are put back, is the first of the two. One that is skipped
    when clocks are put forward is reckoned with the offset that was in force before.
    """
    return to_microseconds(wall.replace(tzinfo=zone, fold=0).astimezone(UTC))


def wall_of(instant: int, zone: tzinfo) -> datetime:
    """What the clocks of a zone show at an instant; without a zone, so that it compares.

    Raises:
        OverflowError: beyond the years 1 to 9999.
    """
    return from_microseconds(instant).astimezone(zone).replace(tzinfo=None, fold=0)
