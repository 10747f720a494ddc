"""Makes a new version of an entity from its copies: the fold and all that follows from it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from calstream_processors.resolve.fold import fold
from calstream_processors.resolve.matching import keys_of_copies, match_rules
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Cause, Copy, Entity, NaturalId, Values, entity_id, kind_of
from calstream_schemas.entities.head import LEARNED
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RULES, RuleSet


def cause_of(observation: Observation) -> Cause:
    """The observation as what made a version."""
    return Cause(observation.id, observation.received_at, observation.occurred_at)


def living(state: WorkspaceState, kind: str, natural_id: NaturalId) -> str | None:
    """The id of the entity that has an object, unless it was erased; see `IdentityIndex.find`."""
    found = state.index.find(kind, natural_id)
    if found is None or not state.erasures.is_gone(kind, found):
        return found
    owners = state.index.owners(kind, natural_id)
    return next((id_ for id_ in owners if not state.erasures.is_gone(kind, id_)), None)


def with_copies(
    state: WorkspaceState,
    before: Entity,
    copies: Mapping[NaturalId, Copy],
    cause: Cause,
    rules: RuleSet,
) -> Entity:
    """The next version of an entity, which has these copies."""
    values, decisions = fold(kind_of(before.kind), copies.values(), rules)
    return replace(
        before,
        version=before.version + 1,
        cause=cause,
        copies=copies,
        values=values,
        decisions=decisions,
        references=_references(state, before.workspace, before.kind, values),
        deleted_at=_deleted_at(before, copies.values(), cause),
        match_keys=(
            _match_keys(state, before.kind, copies.values(), values, rules)
            if before.erasing_since is None
            else ()
        ),
    )


def _deleted_at(before: Entity, copies: Iterable[Copy], cause: Cause) -> int | None:
    """Since when nobody has it: each object is gone, or was only ever written by ourselves."""
    gone = False
    for copy in copies:
        if copy.gone:
            gone = True
        elif _stands(copy):
            return None
    if not gone:
        return None
    return cause.received_at if before.deleted_at is None else before.deleted_at


def _stands(copy: Copy) -> bool:
    """Whether an object that is not gone is somebody's own. One without a word is yet to speak."""
    if copy.role == RULES:
        return False
    return not copy.registers or not all(each.by_self for each in copy.registers.values())


def pointing_at(
    state: WorkspaceState, kind: str, objects: Iterable[NaturalId], id_: str, cause: Cause
) -> list[Entity]:
    """New versions of the entities that refer to objects of a kind, which are `id_`'s now."""
    targets = {str(natural_id): natural_id for natural_id in objects}
    keys = sorted({key for one in targets.values() for key in state.index.referrers(kind, one)})
    made = []
    for key in keys:
        referrer = state.get(key)
        if referrer is None or state.erasures.is_going(referrer):
            continue
        references = dict(referrer.references)
        for _group, field in kind_of(referrer.kind).references:
            if field.reference == kind and referrer.values.get(field.name) in targets:
                references[field.name] = id_
        if references != referrer.references:
            made.append(
                replace(referrer, version=referrer.version + 1, cause=cause, references=references)
            )
    return made


def _match_keys(
    state: WorkspaceState, kind: str, copies: Iterable[Copy], values: Values, rules: RuleSet
) -> tuple[bytes, ...]:
    if kind != "contact":
        return ()
    return tuple(keys_of_copies(copies, values, match_rules(rules), state.index.keyed))


def _references(state: WorkspaceState, workspace: str, kind: str, values: Values) -> dict[str, str]:
    """The ids of the entities that the reference fields point to, where they are known."""
    found = {}
    for _group, field in kind_of(kind).references:
        text = values.get(field.name)
        if not isinstance(text, str) or field.reference is None:
            continue
        target = NaturalId.parse(text)
        known = living(state, field.reference, target)
        if known is None and field.reference not in LEARNED:
            known = entity_id(workspace, field.reference, target)
        if known is not None:
            found[field.name] = known
    return found
