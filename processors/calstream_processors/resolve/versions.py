"""Makes a new version of an entity from its copies: the fold and all that follows from it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from calstream_processors.resolve.fold import fold
from calstream_processors.resolve.matching import keys_of_copies
from calstream_processors.resolve.ownership import Ownership
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Cause, Copy, Entity, NaturalId, Values, entity_id, kind_of
from calstream_schemas.observations import Observation


def cause_of(observation: Observation) -> Cause:
    """The observation as what made a version."""
    return Cause(observation.id, observation.received_at, observation.occurred_at)


def with_copies(
    state: WorkspaceState,
    before: Entity,
    copies: Mapping[NaturalId, Copy],
    cause: Cause,
    ownership: Ownership,
) -> Entity:
    """The next version of an entity, which has these copies."""
    values, decisions = fold(kind_of(before.kind), copies.values(), ownership)
    return replace(
        before,
        version=before.version + 1,
        cause=cause,
        copies=copies,
        values=values,
        decisions=decisions,
        references=_references(state, before.workspace, before.kind, values),
        match_keys=_match_keys(state, before.kind, copies.values(), values),
    )


def pointing_at(
    state: WorkspaceState, objects: Iterable[NaturalId], id_: str, cause: Cause
) -> list[Entity]:
    """New versions of the entities that refer to a contact's objects, which are `id_`'s now."""
    targets = {str(natural_id) for natural_id in objects}
    keys = sorted({key for text in targets for key in _referrers(state, text)})
    made = []
    for key in keys:
        referrer = state.get(key)
        if referrer is None:
            continue
        references = dict(referrer.references)
        for _group, field in kind_of(referrer.kind).references:
            if field.reference == "contact" and referrer.values.get(field.name) in targets:
                references[field.name] = id_
        if references != referrer.references:
            made.append(
                replace(referrer, version=referrer.version + 1, cause=cause, references=references)
            )
    return made


def _referrers(state: WorkspaceState, text: str) -> tuple[str, ...]:
    return state.index.referrers(NaturalId.parse(text))


def _match_keys(
    state: WorkspaceState, kind: str, copies: Iterable[Copy], values: Values
) -> tuple[bytes, ...]:
    if kind != "contact":
        return ()
    return tuple(keys_of_copies(copies, values, state.index.rules, state.index.keyed))


def _references(state: WorkspaceState, workspace: str, kind: str, values: Values) -> dict[str, str]:
    """The ids of the entities that the reference fields point to, where they are known.

    A contact's id is known once the contact is: it may turn out to be somebody we have. Every
    other kind's id follows from what its system calls it.
    """
    found = {}
    for _group, field in kind_of(kind).references:
        text = values.get(field.name)
        if not isinstance(text, str) or field.reference is None:
            continue
        target = NaturalId.parse(text)
        known = state.index.find(field.reference, target)
        if known is None and field.reference != "contact":
            known = entity_id(workspace, field.reference, target)
        if known is not None:
            found[field.name] = known
    return found
