"""Finds out what the installed time zone database changes for bookings that are to come. Pure.

A booking records its instant and what the clocks were to show then: where the installed database
has them show something else, its zone's rules have changed since.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

from calstream_core.clock import to_microseconds
from calstream_core.zones import TZDATA_VERSION, zone_of
from calstream_processors.time.shifted import SCHEDULE
from calstream_schemas.entities import Entity
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.zone_shifts import ZoneShift

_STEP = timedelta(days=1)
_REACH_DAYS = 3653
"""So far a stretch with one offset is followed; a booking beyond it brings a shift of its own."""


def with_installed_zones(
    wanted: RuleSet, in_force: RuleSet, entities: Iterable[Entity], now: int
) -> RuleSet:
    """The rule set with what the installed database changes, as of now.

    Args:
        wanted: as the settings ask for it.
        in_force: the workspace's until now.
        entities: the newest versions of its entities, as folded by the rules in force.
        now: microseconds.
    """
    found: dict[tuple[str, str, int], ZoneShift] = {}
    for entity in entities:
        shift = _shift(entity, now)
        if shift is not None:
            found[shift.zone, shift.wall_from, shift.offset_seconds] = shift
    shifts = (*in_force.zone_shifts, *(found[key] for key in sorted(found)))
    return replace(wanted, tzdata=TZDATA_VERSION, zone_shifts=shifts)


def _shift(entity: Entity, now: int) -> ZoneShift | None:
    """What one entity shows to have changed; None where nothing has, or nothing can be told."""
    decision = entity.decisions.get(SCHEDULE)
    values = entity.values
    zone_name, wall, start = (values.get(n) for n in ("timezone", "wall_start", "start_at"))
    if decision is None or not isinstance(zone_name, str) or not isinstance(wall, str):
        return None
    if not isinstance(start, int) or start < now:
        return None
    said_at = entity.copies[decision.id].registers[SCHEDULE].changed_at
    zone = zone_of(zone_name)
    if zone is None or said_at >= now:
        return None
    shown = datetime.fromisoformat(wall)
    instants = [shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    if start in map(to_microseconds, instants):
        return None
    offset = _offset(instants[0], zone)
    first, last = _stretch(instants[0], zone)
    if not first <= shown < last:  # it comes twice that night: this time of day alone
        first, last = shown, shown + timedelta(seconds=1)
    return ZoneShift(
        zone=zone_name,
        wall_from=first.isoformat(timespec="seconds"),
        wall_until=last.isoformat(timespec="seconds"),
        offset_seconds=int(offset.total_seconds()),
        tzdata=TZDATA_VERSION,
        since=now,
    )


def _stretch(instant: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The wall times around an instant that have its offset and come once."""
    offset = _offset(instant, zone)
    begin, before = _edge(instant, zone, -_STEP)
    end, after = _edge(instant, zone, _STEP)
    return _naive(begin + max(before, offset)), _naive(end + after)


def _edge(instant: datetime, zone: tzinfo, step: timedelta) -> tuple[datetime, timedelta]:
    """Where the offset changes in one direction, to the second, and to what."""
    offset = _offset(instant, zone)
    near, far = instant, instant
    for _ in range(_REACH_DAYS):
        near, far = far, far + step
        if _offset(far, zone) != offset:
            break
    else:
        return far, offset
    beyond = _offset(far, zone)
    while abs(far - near) > timedelta(seconds=1):
        middle = near + timedelta(seconds=int((far - near).total_seconds() / 2))
        if _offset(middle, zone) == offset:
            near = middle
        else:
            far = middle
    return (far if step > timedelta() else near), beyond


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    found = instant.astimezone(zone).utcoffset()
    assert found is not None
    return found


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
