"""Resolves one observation against the state of its workspace. No I/O, clock or settings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from calstream_core.errors import Code, RecordError
from calstream_processors.resolve.copies import apply
from calstream_processors.resolve.fold import fold
from calstream_processors.resolve.identity import IdentityIndex
from calstream_schemas.entities import (
    Cause,
    Entity,
    NaturalId,
    entity_id,
    entity_key,
    kind_of,
)
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RuleSet

# an object of these may turn out to belong to an entity that we have: which one is known once the
# object is. Every other kind's id follows from what its system calls it.
_LEARNED = frozenset({"contact", "booking"})


class WorkspaceState(Protocol):
    """What the resolver reads: the newest versions of a workspace, and its indexes."""

    index: IdentityIndex

    def get(self, key: str) -> Entity | None:
        """The newest version of an entity."""


def resolve(state: WorkspaceState, observation: Observation, rules: RuleSet) -> tuple[Entity, ...]:
    """The new versions that an observation makes: none where it told nothing new.

    The caller writes them in this order, then takes them into the state.

    Raises:
        RecordError: the observation is about an entity that does not exist.
    """
    id_ = identify(state, observation)
    before = state.get(entity_key(observation.workspace, observation.kind, id_))
    if before is None and observation.about is not None:
        raise RecordError(
            Code.ENTITY_NOT_FOUND, f"The observation is about {observation.about}, unknown here."
        )
    after = _next_version(state, before, id_, observation, rules)
    if after is None:
        return ()
    # what referred to a newcomer comes first: if only a part gets written before a crash, doing it
    # again writes the rest
    return (*_refer(state, before, after, observation), after)


def identify(state: WorkspaceState, observation: Observation) -> str:
    """The id of the entity that an observation is about, known or new."""
    if observation.about is not None:
        return observation.about
    kind, natural_id = observation.kind, observation.natural_id
    if kind_of(kind).is_history:
        return entity_id(observation.workspace, kind, natural_id.parent)
    known = state.index.find(kind, natural_id)
    if known is None and observation.same_as is not None:
        known = state.index.find(kind, observation.same_as)
    if known is not None:
        return known
    if kind == "contact":
        email = _stated_email(observation)
        matched = state.index.contact_with_email(email) if email else None
        if matched is not None:
            return matched
    return entity_id(observation.workspace, kind, natural_id)


def _stated_email(observation: Observation) -> str | None:
    for statement in observation.statements:
        if statement.group == "email":
            email = statement.values.get("email")
            return email if isinstance(email, str) else None
    return None


def _next_version(
    state: WorkspaceState,
    before: Entity | None,
    id_: str,
    observation: Observation,
    rules: RuleSet,
) -> Entity | None:
    old = before.copies if before else {}
    copies = apply(old, observation)
    if copies is old:
        return None
    values, decisions = fold(kind_of(observation.kind), copies.values(), rules)
    return Entity(
        workspace=observation.workspace,
        kind=observation.kind,
        id=id_,
        version=before.version + 1 if before else 1,
        created_at=before.created_at if before else observation.received_at,
        cause=cause_of(observation),
        copies=copies,
        values=values,
        decisions=decisions,
        references=references(state, observation.workspace, observation.kind, values),
    )


def cause_of(observation: Observation) -> Cause:
    """The observation as the cause of a version."""
    return Cause(observation.id, observation.received_at, observation.occurred_at)


def references(
    state: WorkspaceState, workspace: str, kind: str, values: Mapping[str, object]
) -> dict[str, str]:
    """The ids of the entities that the reference fields point to, where they are known."""
    found = {}
    for _group, field in kind_of(kind).references:
        text = values.get(field.name)
        if not isinstance(text, str) or field.reference is None:
            continue
        target = NaturalId.parse(text)
        known = state.index.find(field.reference, target)
        if known is None and field.reference not in _LEARNED:
            known = entity_id(workspace, field.reference, target)
        if known is not None:
            found[field.name] = known
    return found


def _refer(
    state: WorkspaceState,
    before: Entity | None,
    after: Entity,
    observation: Observation,
) -> list[Entity]:
    """New versions of the entities that waited for an object which now has an entity."""
    made = []
    for natural_id in after.copies:
        if before is not None and natural_id in before.copies:
            continue
        for key in sorted(state.index.waiting_for(after.kind, natural_id)):
            waiting = state.get(key)
            if waiting is None:
                continue
            known = dict(waiting.references)
            for _group, field in kind_of(waiting.kind).references:
                if waiting.values.get(field.name) == str(natural_id):
                    known[field.name] = after.id
            made.append(
                replace(
                    waiting,
                    version=waiting.version + 1,
                    cause=cause_of(observation),
                    references=known,
                )
            )
    return made
