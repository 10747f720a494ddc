"""Which facts are not taken in because somebody was erased, and what is remembered of them. Pure.

What was said before the erasure is dropped, however it comes again. What is newer is taken in: of a
person as of somebody new; of what hangs on a person only if there is one again.
"""

from collections.abc import Iterator
from dataclasses import replace

from calstream_processors.resolve.erasures import people_of
from calstream_processors.resolve.matching import keys_of_statements, match_rules
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import KINDS, NaturalId, entity_key, kind_of
from calstream_schemas.erasures import Erasure, ErasureState, OptOut
from calstream_schemas.observations import DECISIONS, Fact, Observation, sealed_with
from calstream_schemas.rule_sets import RuleSet

_CONTACT = "contact"


def suppressed_by(
    state: WorkspaceState, observation: Observation, rules: RuleSet
) -> Erasure | None:
    """The erasure because of which a fact is dropped; None if it is to be resolved."""
    if observation.kind not in KINDS or observation.fact in DECISIONS:
        return None  # it says nothing of anybody; a decision on somebody who was erased is refused
    if observation.about is not None:
        return _of_entity(state, observation)
    erasure = _erasure_of(state, observation, rules)
    if erasure is None or observation.occurred_at <= erasure.asked_at:
        return erasure
    if observation.kind == _CONTACT:
        nothing = observation.fact is Fact.GONE or not observation.statements
        return erasure if nothing and not _lives(state, observation.natural_id) else None
    has_person = any(
        field.reference == _CONTACT for _, field in kind_of(observation.kind).references
    )
    return erasure if has_person and not _has_living_person(state, observation) else None


def after_dropping(state: WorkspaceState, erasure: Erasure, observation: Observation) -> Erasure:
    """The record after a fact was dropped: what sealed it is destroyed as well."""
    keys, sealed = set(erasure.keys), sealed_with(observation)
    if sealed is not None and not _is_others(state, observation):
        keys.add(sealed)
    objects = set(erasure.objects)
    if observation.about is None:
        objects.add(state.erasures.hash_of(observation.kind, observation.natural_id))
    asked = erasure.state is ErasureState.ASKED
    return replace(
        erasure,
        state=ErasureState.ASKED if asked else ErasureState.SWEEPING,
        keys=tuple(sorted(keys)),
        objects=frozenset(objects),
        opt_outs=tuple(dict.fromkeys((*erasure.opt_outs, *_withdrawn(observation)))),
        dropped=erasure.dropped + 1,
    )


def _of_entity(state: WorkspaceState, observation: Observation) -> Erasure | None:
    """What a sink says of an entity by its id."""
    kind, id_ = observation.kind, observation.about or ""
    erasure = state.erasures.of_entity(kind, id_)
    if erasure is None or state.erasures.is_gone(kind, id_):
        return erasure
    known = state.get(entity_key(observation.workspace, kind, id_))
    return erasure if known is not None and known.erasing_since is not None else None


def _erasure_of(state: WorkspaceState, observation: Observation, rules: RuleSet) -> Erasure | None:
    """The last erasure that a fact may belong to: of its object, its person, or their address."""
    erasures = state.erasures
    found = [erasures.of_object(observation.kind, observation.natural_id)]
    found += [erasures.of_object(_CONTACT, person) for person in people_named(observation)]
    if observation.kind == _CONTACT:
        keyed = state.index.keyed
        stated = keys_of_statements(observation, match_rules(rules), keyed)
        found.append(erasures.of_person(people_of(stated.all)))
    known = [erasure for erasure in found if erasure is not None]
    return max(known, key=lambda erasure: (erasure.asked_at, erasure.id), default=None)


def people_named(observation: Observation) -> Iterator[NaturalId]:
    """The persons that an attendance, consent or message says it is of."""
    fields = kind_of(observation.kind).field_by_name
    for statement in observation.statements:
        for name, value in statement.values.items():
            if fields[name].reference == _CONTACT and isinstance(value, str):
                yield NaturalId.parse(value)


def _has_living_person(state: WorkspaceState, observation: Observation) -> bool:
    stated = list(people_named(observation))
    if stated:
        return any(_lives(state, person) for person in stated)
    id_ = state.index.find(observation.kind, observation.natural_id)
    known = state.get(entity_key(observation.workspace, observation.kind, id_)) if id_ else None
    person = known.references.get("contact_ref") if known is not None else None
    return person is not None and not state.erasures.is_gone(_CONTACT, person)


def _lives(state: WorkspaceState, person: NaturalId) -> bool:
    owners = state.index.owners(_CONTACT, person)
    return any(not state.erasures.is_gone(_CONTACT, id_) for id_ in owners)


def _is_others(state: WorkspaceState, observation: Observation) -> bool:
    """Whether an object is somebody's who is not erased: its key seals what is theirs too."""
    owners = state.index.owners(observation.kind, observation.natural_id)
    return any(state.erasures.of_entity(observation.kind, id_) is None for id_ in owners)


def _withdrawn(observation: Observation) -> Iterator[OptOut]:
    if observation.kind != "consent":
        return
    said = {n: v for statement in observation.statements for n, v in statement.values.items()}
    purpose, at = said.get("purpose"), said.get("decided_at")
    if said.get("granted") is False and isinstance(purpose, str) and type(at) is int:
        yield OptOut(purpose, at)
