"""What a tick of the clock does: which entities expire, and which are forgotten. Pure.

The instant is recorded in the tick, so that a replay does the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_processors.resolve.due import DueTimes
from calstream_processors.resolve.versions import cause_of, with_copies
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Copy, Entity, entity_key
from calstream_schemas.entities.due import EXPIRIES, Expiry, expires_at
from calstream_schemas.observations import CLOCK, Fact, Observation, Statement, observation_id
from calstream_schemas.rule_sets import RuleSet

MOST_AT_ONCE = 500
"""What one tick does of each; the rest stays due, and the next tick comes within a second."""

_DAY = 24 * 60 * 60 * MICROSECONDS_PER_SECOND


def kept_microseconds(rules: RuleSet) -> int:
    """For how long an entity is kept that no system has any more."""
    return rules.tombstone_after_days * _DAY


def expiries(state: WorkspaceState, due: DueTimes, tick: Observation) -> Iterator[Observation]:
    """What follows from a tick for entities that have come to their end, by time.

    A system that gave something an end has said what it is after that, though it may say it late:
    so the observation speaks for that system's copy, and anything that the system said later than
    the end was given still counts more.
    """
    for key, instant in list(due.expiring.take(tick.occurred_at, MOST_AT_ONCE)):
        entity = state.get(key)
        if entity is None or expires_at(entity) != instant:
            continue
        expiry = EXPIRIES[entity.kind]
        for copy in _saying(entity, expiry):
            yield _expired(entity, copy, expiry, instant, tick)


def _saying(entity: Entity, expiry: Expiry) -> Iterable[Copy]:
    for _, copy in sorted(entity.copies.items()):
        register = copy.registers.get("status")
        if (
            register is not None
            and not copy.gone
            and not register.by_self
            and register.values.get("status") == expiry.status
        ):
            yield copy


def _expired(
    entity: Entity, copy: Copy, expiry: Expiry, instant: int, tick: Observation
) -> Observation:
    newest = copy.registers["status"].stamps[-1]
    stamp = newest._replace(modified_at=newest.modified_at + 1)
    return Observation(
        id=observation_id(CLOCK, f"{tick.id}/{instant}", Fact.STATE, copy.id),
        workspace=tick.workspace,
        fact=Fact.STATE,
        kind=entity.kind,
        natural_id=copy.id,
        role=copy.role,
        received_at=tick.received_at,
        occurred_at=instant,
        about=entity.id,
        statements=(Statement("status", expiry.becomes, stamp),),
        event_id=tick.id,
        event_type="clock.expired",
    )


@dataclass(frozen=True, slots=True)
class Burial:
    """An entity that is forgotten.

    Attributes:
        gone: it, and those that were merged into it.
        referrers: the keys of those that refer to it.
    """

    gone: tuple[Entity, ...]
    referrers: tuple[str, ...]


def burials(
    state: WorkspaceState, due: DueTimes, tick: Observation, rules: RuleSet
) -> Iterator[Burial]:
    """What a tick forgets: what no system has had for as long as the rules keep it."""
    until = tick.occurred_at - kept_microseconds(rules)
    for key, _instant in list(due.deleted.take(until, MOST_AT_ONCE)):
        entity = state.get(key)
        if entity is None or entity.deleted_at is None or entity.erasing_since is not None:
            continue  # an erasure ends with a version, which is due anew
        members = (
            state.get(entity_key(entity.workspace, entity.kind, id_))
            for id_ in state.index.members(entity.id)
        )
        gone = (*(member for member in members if member is not None), entity)
        referrers = {
            referrer
            for natural_id in entity.copies
            for referrer in state.index.referrers(entity.kind, natural_id)
        }
        yield Burial(gone, tuple(sorted(referrers)))


def referring_no_more(
    state: WorkspaceState, keys: Iterable[str], tick: Observation, rules: RuleSet
) -> Iterator[Entity]:
    """New versions of entities that referred to one that the state has forgotten."""
    for key in keys:
        referrer = state.get(key)
        if referrer is None or state.erasures.is_going(referrer):
            continue
        after = with_copies(state, referrer, referrer.copies, cause_of(tick), rules)
        if after.references != referrer.references:
            yield replace(
                referrer, version=after.version, cause=after.cause, references=after.references
            )
