"""Resolves one observation against the state of its workspace. No I/O, clock or settings."""

from dataclasses import replace

from calstream_core.errors import Code, RecordError
from calstream_processors.resolve.automation.source import with_source
from calstream_processors.resolve.copies import apply
from calstream_processors.resolve.decisions import decide
from calstream_processors.resolve.ladder import match
from calstream_processors.resolve.matching import keys_of_statements, match_rules
from calstream_processors.resolve.versions import cause_of, living, pointing_at, with_copies
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Entity, NaturalId, entity_id, entity_key, kind_of
from calstream_schemas.entities.head import LEARNED
from calstream_schemas.observations import DECIDERS, DECISIONS, Observation
from calstream_schemas.rule_sets import ROLES, RuleSet

__all__ = ["WorkspaceState", "resolve"]

_HEARD = frozenset({*ROLES, DECIDERS})


def resolve(state: WorkspaceState, observation: Observation, rules: RuleSet) -> tuple[Entity, ...]:
    """The new versions that an observation makes: none where it told nothing new.

    The caller writes them in this order, then takes them into the state.

    Raises:
        RecordError: the observation is about an entity that does not exist, its system has a role
            that no rule knows, or it is a decision that can't be carried out.
    """
    if observation.fact in DECISIONS:
        return decide(state, observation, rules)
    if observation.role not in _HEARD:
        raise RecordError(
            Code.SOURCE_WITHOUT_RULE,
            f"No rule says what the word of {observation.natural_id.system} counts:"
            f" there is no role {observation.role!r}.",
            hint="docs/ownership.md lists the roles.",
        )
    id_ = identify(state, observation, rules)
    before = state.get(entity_key(observation.workspace, observation.kind, id_))
    if before is None and observation.about is not None:
        raise RecordError(
            Code.ENTITY_NOT_FOUND, f"The observation is about {observation.about}, unknown here."
        )
    after = _next_version(state, before, id_, observation, rules)
    if after is None:
        return ()
    index = state.index
    newcomers = [one for one in after.copies if index.find(after.kind, one) is None]
    # what referred to a newcomer comes first: if only a part gets written before a crash, doing it
    # again writes the rest
    return (
        *(
            pointing_at(state, after.kind, newcomers, after.id, cause_of(observation))
            if after.kind in LEARNED
            else ()
        ),
        *_brought(state, observation, id_),
        after,
    )


def identify(state: WorkspaceState, observation: Observation, rules: RuleSet) -> str:
    """The id of the entity that an observation is about, known or new."""
    if observation.about is not None:
        return state.index.survivor(observation.about)
    kind, natural_id = observation.kind, observation.natural_id
    if kind_of(kind).is_history:
        return _fresh_id(state, observation.workspace, kind, natural_id.parent)
    known = living(state, kind, natural_id)
    if known is None and observation.same_as is not None:
        known = living(state, kind, observation.same_as)
    if known is None and kind == "contact":
        stated = keys_of_statements(observation, match_rules(rules), state.index.keyed)
        known = match(state.index, stated)
    return known or _fresh_id(state, observation.workspace, kind, natural_id)


def _fresh_id(state: WorkspaceState, workspace: str, kind: str, natural_id: NaturalId) -> str:
    if state.erasures:
        return state.erasures.fresh_id(workspace, kind, natural_id)
    return entity_id(workspace, kind, natural_id)


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
    if observation.kind == "contact":
        copies = with_source(id_, copies, observation, rules.leads)
    known = before or Entity(
        workspace=observation.workspace,
        kind=observation.kind,
        id=id_,
        version=0,
        created_at=observation.received_at,
        cause=cause_of(observation),
    )
    return with_copies(state, known, copies, cause_of(observation), rules)


def _brought(state: WorkspaceState, observation: Observation, id_: str) -> list[Entity]:
    """Where a merged contact turns out to have one more object: an unmerge gives it that too."""
    if observation.about is None or observation.about == id_:
        return []
    member = state.get(entity_key(observation.workspace, observation.kind, observation.about))
    if member is None or member.merge is None:
        return []
    natural_id = observation.natural_id
    if natural_id in member.merge.objects or state.index.find(member.kind, natural_id) is not None:
        return []
    objects = tuple(sorted({*member.merge.objects, natural_id}))
    return [
        replace(
            member,
            version=member.version + 1,
            cause=cause_of(observation),
            merge=replace(member.merge, objects=objects),
        )
    ]
