"""Decisions on who is who: merge, unmerge, apart. They come as observations and replay the same.

A merge gives the copies of one contact to another, which is folded anew; what they were is kept, so
that an unmerge regroups them. Nothing is thrown away.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace

from calstream_core.errors import Code, RecordError
from calstream_processors.resolve.copies import join_clamped
from calstream_processors.resolve.register import join
from calstream_processors.resolve.versions import cause_of, pointing_at, with_copies
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Cause, Copy, Entity, Merge, NaturalId, entity_key
from calstream_schemas.observations import Fact, Observation
from calstream_schemas.rule_sets import RuleSet


def decide(state: WorkspaceState, observation: Observation, rules: RuleSet) -> tuple[Entity, ...]:
    """The new versions that a decision makes: none where it stands already.

    Raises:
        RecordError: a contact is not there, or the decision does not fit how they stand.
    """
    if observation.kind != "contact":
        raise RecordError(Code.MERGE_REFUSED, f"A {observation.kind} can't be merged.")
    one = _contact(state, observation, observation.about)
    if observation.fact is Fact.UNMERGE:
        return _unmerge(state, observation, one, rules)
    other = _contact(state, observation, observation.other)
    if observation.fact is Fact.MERGE:
        return _merge(state, observation, one, other, rules)
    return _apart(state, observation, one, other)


def _merge(
    state: WorkspaceState,
    observation: Observation,
    loser: Entity,
    into: Entity,
    rules: RuleSet,
) -> tuple[Entity, ...]:
    survivor = _survivor(state, into)
    if survivor.id == loser.id:
        raise RecordError(
            Code.MERGE_CYCLIC,
            f"{loser.key} can't be merged into itself."
            if into.id == loser.id
            else f"{loser.key} can't be merged into {into.key}, which was merged into it.",
        )
    if loser.merge is not None:
        if _survivor(state, loser).id == survivor.id:
            return ()
        raise RecordError(
            Code.MERGE_REFUSED, f"{loser.key} was merged into {loser.merge.into} already."
        )
    cause = cause_of(observation)
    shared = sorted(loser.copies.keys() & survivor.copies.keys())
    merge = Merge(
        into=survivor.id,
        by=observation.decided_by or "",
        at=observation.occurred_at,
        objects=tuple(sorted(loser.copies)),
        shared=tuple(shared),
    )
    both = {id_: _joined(loser.copies[id_], survivor.copies[id_]) for id_ in shared}
    copies = {**survivor.copies, **loser.copies, **both}
    return (
        *pointing_at(state, "contact", loser.copies, survivor.id, cause),
        replace(with_copies(state, loser, {}, cause, rules), merge=merge),
        with_copies(state, survivor, copies, cause, rules),
    )


def _unmerge(
    state: WorkspaceState, observation: Observation, member: Entity, rules: RuleSet
) -> tuple[Entity, ...]:
    if member.merge is None:
        raise RecordError(Code.MERGE_REFUSED, f"{member.key} is not merged into another.")
    cause = cause_of(observation)
    survivor = _survivor(state, member)
    merge = member.merge
    back = {id_: survivor.copies[id_] for id_ in merge.objects if id_ in survivor.copies}
    leaving = back.keys() - set(merge.shared)
    kept = {id_: copy for id_, copy in survivor.copies.items() if id_ not in leaving}
    return (
        *pointing_at(state, "contact", leaving, member.id, cause),
        *_less_brought(state, member, leaving, cause),
        _said_apart(with_copies(state, survivor, kept, cause, rules), member.id),
        _said_apart(
            replace(with_copies(state, member, back, cause, rules), merge=None), survivor.id
        ),
    )


def _less_brought(
    state: WorkspaceState, member: Entity, leaving: AbstractSet[NaturalId], cause: Cause
) -> list[Entity]:
    """Those between a member and its survivor brought its copies too, and do so no longer."""
    made = []
    assert member.merge is not None
    between = state.get(entity_key(member.workspace, member.kind, member.merge.into))
    while between is not None and between.merge is not None:
        objects = tuple(id_ for id_ in between.merge.objects if id_ not in leaving)
        made.append(
            replace(
                between,
                version=between.version + 1,
                cause=cause,
                merge=replace(between.merge, objects=objects),
            )
        )
        between = state.get(entity_key(member.workspace, member.kind, between.merge.into))
    return made


def _apart(
    state: WorkspaceState, observation: Observation, one: Entity, other: Entity
) -> tuple[Entity, ...]:
    first, second = _survivor(state, one), _survivor(state, other)
    if first.id == second.id:
        raise RecordError(
            Code.MERGE_REFUSED, f"{one.key} and {other.key} are one contact.", hint="Unmerge first."
        )
    if second.id in first.apart and first.id in second.apart:
        return ()
    cause = cause_of(observation)
    return tuple(
        _said_apart(replace(each, version=each.version + 1, cause=cause), from_)
        for each, from_ in ((first, second.id), (second, first.id))
    )


def _said_apart(contact: Entity, other: str) -> Entity:
    return replace(contact, apart=tuple(sorted({*contact.apart, other})))


def _contact(state: WorkspaceState, observation: Observation, id_: str | None) -> Entity:
    found = state.get(entity_key(observation.workspace, observation.kind, id_)) if id_ else None
    if found is None:
        raise RecordError(Code.ENTITY_NOT_FOUND, f"The decision names {id_}, unknown here.")
    if found.erasing_since is not None or found.erased_at is not None:
        raise RecordError(Code.MERGE_REFUSED, f"{found.key} was erased.")
    return found


def _survivor(state: WorkspaceState, contact: Entity) -> Entity:
    id_ = state.index.survivor(contact.id)
    if id_ == contact.id:
        return contact
    found = state.get(entity_key(contact.workspace, contact.kind, id_))
    assert found is not None  # an entity is never removed while another points at it
    return found


def _joined(one: Copy, other: Copy) -> Copy:
    """What two contacts hold of the same object: of each group what was said last."""
    groups = sorted({*one.registers, *other.registers})
    return Copy(
        one.id,
        one.role,
        {name: join(one.registers.get(name), other.registers.get(name)) for name in groups},
        max((at for at in (one.gone_at, other.gone_at) if at is not None), default=None),
        join_clamped(one.clamped, other.clamped),
    )
