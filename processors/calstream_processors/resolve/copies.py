"""Applies one observation to the copies of an entity. Pure, and in any order the same."""

from collections.abc import Mapping

from calstream_processors.resolve.register import state
from calstream_schemas.entities import Copy, NaturalId
from calstream_schemas.observations import Fact, Observation

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
    for statement in observation.statements:
        before = registers.get(statement.group)
        registers[statement.group] = state(before, statement.values, statement.stamp)
    gone = copy.gone or observation.fact is Fact.GONE
    same = gone == copy.gone and all(registers[g] is copy.registers.get(g) for g in registers)
    if same and (copy.registers or not observation.statements):
        # a copy without any register is news the first time: the object exists
        return copy
    return Copy(copy.id, copy.role, registers, gone)


def _is_provisional(id_: NaturalId) -> bool:
    return id_.object_id.startswith(PROVISIONAL)


def _is_real(id_: NaturalId, system: str) -> bool:
    return id_.system == system and not _is_provisional(id_)
