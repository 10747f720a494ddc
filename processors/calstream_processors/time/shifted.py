"""A time by the rules of its zone that hold now: the wall clock stays, the instants move. Pure."""

from datetime import UTC, datetime

from calstream_core.clock import MICROSECONDS_PER_SECOND, to_microseconds
from calstream_schemas.entities import Register, Value, Values
from calstream_schemas.rule_sets import RuleSet

SCHEDULE = "schedule"
"""The group that holds a time with its zone and wall clock."""


def shifted(register: Register, rules: RuleSet) -> Values:
    """The values of a schedule by the rules' releases of the time zone database.

    What was said before a release came, and starts after that, is moved to where the clocks will
    show what they were said to show. What begins earlier has been, and what was said since is said
    by the newer clocks.
    """
    said = register.values
    zone, wall, start = said.get("timezone"), said.get("wall_start"), said.get("start_at")
    if not (isinstance(zone, str) and isinstance(wall, str) and isinstance(start, int)):
        return said
    moved = start
    for shift in rules.shifts_of(zone):
        if (
            register.changed_at < shift.since <= moved
            and shift.wall_from <= wall < shift.wall_until
        ):
            moved = _on_the_wall(wall) - shift.offset_seconds * MICROSECONDS_PER_SECOND
    if moved == start:
        return said
    end = said.get("end_at")
    return {**said, "start_at": moved, "end_at": _with(end, moved - start)}


def _with(end: Value, by: int) -> Value:
    return end + by if isinstance(end, int) else end


def _on_the_wall(wall: str) -> int:
    return to_microseconds(datetime.fromisoformat(wall).replace(tzinfo=UTC))
