"""Settlements: what a person decided of a group on which systems differ.

A settlement is a copy like any other, of which a person is the system. So it is folded, merged,
sealed and replayed as all copies are.
"""

import uuid

from calstream_schemas.entities import Entity, NaturalId, Stamp, Values
from calstream_schemas.observations import (
    DECIDERS,
    NO_VERSION,
    Fact,
    Observation,
    Statement,
    observation_id,
)

_SYSTEM, _OBJECT_TYPE = "calstream", "settlement"


def settlement_of(entity_id: str) -> NaturalId:
    """The copy that holds what people decided of an entity."""
    return NaturalId(_SYSTEM, _OBJECT_TYPE, entity_id)


def settle(entity: Entity, group: str, values: Values, decided_by: str, now: int) -> Observation:
    """The observation that somebody decided a group of an entity.

    Args:
        entity: as the person saw it: every word on the group that it holds is settled.
        group: of its kind.
        values: of every field of the group.
        decided_by: who.
        now: microseconds.
    """
    natural_id = settlement_of(entity.id)
    said = [r.changed_at for c in entity.copies.values() if (r := c.registers.get(group))]
    # a system whose clock is ahead was heard all the same
    stamp = Stamp(NO_VERSION, max(now, *said, 0), by_self=False)
    return Observation(
        id=observation_id(_SYSTEM, str(uuid.uuid4()), Fact.SETTLE, natural_id),
        workspace=entity.workspace,
        fact=Fact.SETTLE,
        kind=entity.kind,
        natural_id=natural_id,
        role=DECIDERS,
        received_at=now,
        occurred_at=now,
        statements=(Statement(group, values, stamp),),
        about=entity.id,
        decided_by=decided_by,
    )
