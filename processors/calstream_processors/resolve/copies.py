"""Applies one observation to the copies of an entity. Pure, and in any order the same."""

from collections.abc import Mapping

from calstream_processors.normalise.instant import MAX_AHEAD_MICROSECONDS
from calstream_processors.resolve.register import state
from calstream_schemas.entities import Copy, NaturalId, Stamp
from calstream_schemas.observations import Fact, Observation

MAX_CLAMPED = 16
"""Times in the future that a copy remembers; of more the newest."""

Clamped = tuple[tuple[int, int], ...]
"""Times in the future, each with when it was first said."""

PROVISIONAL = "~"
"""First letter of the object id under which a sink announces an object that it will create."""


def apply(copies: Mapping[NaturalId, Copy], observation: Observation) -> Mapping[NaturalId, Copy]:
    """The copies after an observation; the same mapping if it told nothing new.

    A copy that was announced before its object had an id is dropped once the system has a real
    one: that tells the same and more.
    """
    id_ = observation.natural_id
    if _is_provisional(id_) and any(_is_real(other, id_.system) for other in copies):
        return copies
    before = copies.get(id_)
    after = _apply(before or Copy(id_, observation.role), observation)
    dropped = (
        []
        if _is_provisional(id_)
        else [c for c in copies if c.system == id_.system and _is_provisional(c)]
    )
    if after is before and not dropped:
        return copies
    return {**{c: copies[c] for c in copies if c not in dropped}, id_: after}


def _apply(copy: Copy, observation: Observation) -> Copy:
    registers = dict(copy.registers)
    clamped = dict(copy.clamped)
    same = True
    for statement in observation.statements:
        group = statement.group
        before = registers.get(group)
        stamp = _clamp(statement.stamp, observation.received_at, clamped)
        after = registers[group] = state(before, statement.values, stamp)
        same = same and after is before
    gone_at = copy.gone_at
    if observation.fact is Fact.GONE:
        gone_at = max(gone_at or 0, observation.occurred_at)
    remembered = tuple(sorted(clamped.items())[-MAX_CLAMPED:]) if clamped else ()
    same = same and gone_at == copy.gone_at and remembered == copy.clamped
    if same:
        return copy
    return Copy(copy.id, copy.role, registers, gone_at, remembered)


def join_clamped(one: Clamped, other: Clamped) -> Clamped:
    """What two accounts of a copy remember of times in the future: of each when it came first."""
    first: dict[int, int] = {}
    for time, received_at in (*one, *other):
        first[time] = min(received_at, first.get(time, received_at))
    return tuple(sorted(first.items())[-MAX_CLAMPED:])


def _clamp(stamp: Stamp, received_at: int, clamped: dict[int, int]) -> Stamp:
    """The stamp, with a time that lies in the future counted as when we first heard of it.

    Otherwise one wrong clock would win against every later change. Once: if the same time were
    clamped anew whenever it is said, each repeat would look newer than what was said in between.
    """
    first = clamped.get(stamp.modified_at)
    if first is None:
        if stamp.modified_at <= received_at + MAX_AHEAD_MICROSECONDS:
            return stamp
        first = clamped[stamp.modified_at] = received_at
    return stamp._replace(modified_at=first)


def _is_provisional(id_: NaturalId) -> bool:
    return id_.object_id.startswith(PROVISIONAL)


def _is_real(id_: NaturalId, system: str) -> bool:
    return id_.system == system and not _is_provisional(id_)
