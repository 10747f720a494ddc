"""Expands a series into its occurrences: the wall clock of its zone is what is kept. Pure.

A series at nine stays at nine through every change of the clocks; its instants move.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo
from typing import NamedTuple

from calstream_core.clock import from_microseconds
from calstream_core.errors import Code, RecordError
from calstream_processors.time.recurrence import (
    MOST_OCCURRENCES,
    Rule,
    parse_rule,
    too_large,
    wall_times,
)
from calstream_processors.time.wall_clock import instant_of, known_zone, wall_of

_MARGIN = timedelta(days=2)
"""More than clocks differ: the wall clock's stretch that surely holds a stretch of instants."""


class Occurrence(NamedTuple):
    """One occurrence: start inclusive, end exclusive, both in microseconds."""

    start: int
    end: int
    recurrence_id: str


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What a series is made of.

    Attributes:
        start: of the first occurrence, on the wall clock.
        zone: in which the rule is meant; an IANA name.
        duration: in microseconds; each occurrence takes as long, also when clocks change in it.
        rrule: the rule; None for the start alone.
        exdates: recurrence ids that are left out.
        moved: by recurrence id where an occurrence is instead, as start and end in microseconds;
            None for one that does not take place.
    """

    start: datetime
    zone: str
    duration: int
    rrule: str | None
    exdates: Iterable[str] = ()
    moved: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)


def occurrences(series: Recurrence, since: int, until: int) -> list[Occurrence]:
    """The occurrences that overlap a stretch of time, by start.

    The work is bounded by the stretch and the rule's count. One that only touches the stretch's
    edges does not overlap; one without duration does if it is in it.

    Args:
        series: the series.
        since: where the stretch begins, in microseconds.
        until: where it ends, exclusive.

    Raises:
        RecordError: the rule, an exception's date or the zone can't be read, or there are more than
            `MOST_OCCURRENCES` in the stretch.
    """
    zone = known_zone(series.zone)
    found = [
        Occurrence(*place, recurrence_id)
        for recurrence_id, place in _moved(series, zone)
        if place is not None and _overlaps(*place, since, until)
    ]
    at = series.start.time()
    left_out = {canonical_id(text, zone, at) for text in (*series.exdates, *series.moved)}
    rule = parse_rule(series.rrule) if series.rrule else None
    walls = (
        [series.start]
        if rule is None
        else wall_times(
            rule,
            series.start,
            _wall(since - series.duration, zone) - _MARGIN,
            _wall(until, zone) + _MARGIN,
        )
    )
    for wall in walls:
        recurrence_id = recurrence_id_of(wall)
        start = instant_of(wall, zone)
        if _is_over(rule, start):
            break
        if recurrence_id in left_out or not _overlaps(start, start + series.duration, since, until):
            continue
        found.append(Occurrence(start, start + series.duration, recurrence_id))
        if len(found) > MOST_OCCURRENCES:
            raise too_large(f"more than {MOST_OCCURRENCES} occurrences")
    return sorted(found)


def recurrence_id_of(wall: datetime) -> str:
    """An occurrence's id: where the rule puts it, on the wall clock of the series' zone."""
    return f"{wall:%Y%m%dT%H%M%S}"


def canonical_id(text: str, zone: tzinfo, at: time) -> str:
    """A recurrence id or an exception's date in that form.

    Args:
        text: a local time, a time in UTC or with an offset, or a date; basic or extended ISO 8601.
        zone: of the series.
        at: when the series' first occurrence starts: a mere date means the occurrence then.

    Raises:
        RecordError: it can't be read.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise RecordError(
            Code.RECURRENCE_INVALID, "not a recurrence id", field="recurrence_id"
        ) from None
    if "T" not in text.upper():
        moment = datetime.combine(moment, at)
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone)
    return recurrence_id_of(moment)


def _moved(series: Recurrence, zone: tzinfo) -> Iterable[tuple[str, tuple[int, int] | None]]:
    at = series.start.time()
    return ((canonical_id(text, zone, at), place) for text, place in series.moved.items())


def _overlaps(start: int, end: int, since: int, until: int) -> bool:
    return start < until and (end > since or start >= since)


def _is_over(rule: Rule | None, start: int) -> bool:
    """Whether an occurrence is after the last moment of a rule that gives it in UTC."""
    return (
        rule is not None
        and rule.until is not None
        and rule.until.tzinfo is not None
        and from_microseconds(start) > rule.until
    )


def _wall(instant: int, zone: tzinfo) -> datetime:
    """The wall clock at an instant, kept within the years that can be reckoned with."""
    earliest, latest = datetime(2, 1, 1), datetime(9990, 1, 1)  # noqa: DTZ001 - on the wall clock
    try:
        return min(max(wall_of(instant, zone), earliest), latest)
    except OverflowError:
        return earliest if instant < 0 else latest
