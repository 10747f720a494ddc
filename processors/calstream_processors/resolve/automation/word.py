"""The word of the rules: what they say of an entity, and what they must say anew. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from calstream_processors.resolve.assignments import copies_of_rules
from calstream_processors.resolve.consequences import SYSTEM, said_by_rules
from calstream_schemas.entities import Copy, Entity, NaturalId, Register, Stamp, Values
from calstream_schemas.observations import Observation, Statement

Wanted = Mapping[str, Values | None]
"""By group what the rules should say; None where they have nothing to say."""


def news(cause: Observation, entity: Entity, wanted: Wanted) -> Iterator[Observation]:
    """The observations after which the rules say of an entity what they should.

    None where they say so already. What is no longer so is said to be empty, never left standing.

    Args:
        cause: what it follows from.
        entity: its newest version.
        wanted: by group.
    """
    copies = copies_of_rules(entity, entity.kind)
    own = NaturalId(SYSTEM, entity.kind, entity.id)
    first = copies[0].id if copies else own
    for id_ in [copy.id for copy in copies] or [own]:
        statements = []
        for group, values in wanted.items():
            register = _register(entity, id_, group)
            if register is None and (id_ != first or _is_said(copies, group)):
                continue  # another copy says it
            if statement := _statement(group, register, values, cause):
                statements.append(statement)
        if statements:
            yield said_by_rules(cause, entity.kind, id_, statements, about=entity.id)


def statement(
    group: str, values: Values, cause: Observation, before: Register | None = None
) -> Statement:
    """A statement of the rules: newer than what they said before, whenever the cause came in."""
    version = before.stamps[-1].source_version + 1 if before else 0
    return Statement(group, values, Stamp(version, cause.received_at, by_self=False))


def _statement(
    group: str,
    register: Register | None,
    values: Values | None,
    cause: Observation,
) -> Statement | None:
    if register is None:
        return None if values is None else statement(group, values, cause)
    said = values if values is not None else dict.fromkeys(register.values)
    return None if said == register.values else statement(group, said, cause, register)


def _register(entity: Entity, id_: NaturalId, group: str) -> Register | None:
    copy = entity.copies.get(id_)
    return copy.registers.get(group) if copy else None


def _is_said(copies: Sequence[Copy], group: str) -> bool:
    return any(group in copy.registers for copy in copies)
