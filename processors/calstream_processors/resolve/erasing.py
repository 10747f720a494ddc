"""Erases a person: what goes, what its newest versions say, and what is not taken in again. Pure.

Two steps. Asked to, the person's contacts and the bookings that had nobody else are marked, so that
the sinks delete them at their vendors. Once the keys are destroyed, a last version is written that
holds nothing personal, sealed or not. `processors/decisions/0017-an-erasure-is-a-record.md`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from calstream_core.errors import Code, RecordError
from calstream_core.sealing import KeyName, contact_key, object_key
from calstream_processors.resolve.erasures import people_of
from calstream_processors.resolve.versions import cause_of, with_copies
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import (
    Cause,
    Copy,
    Entity,
    NaturalId,
    Register,
    entity_key,
    kind_of,
)
from calstream_schemas.erasure_facts import Done, ErasureOrder, Receipt
from calstream_schemas.erasures import (
    SELF,
    SETTLED_BY_SINKS,
    Erasure,
    ErasureState,
    OptOut,
)
from calstream_schemas.observations import Fact, Observation
from calstream_schemas.rule_sets import RuleSet

ERASURE_FACTS = frozenset({Fact.ERASE, Fact.ERASED})
_EMPTIED = frozenset({"contact", "attendance", "message"})
"""Kinds of which nothing stays but the ids; of the others what is not personal goes on to count."""
_CONTACT, _BOOKING = "contact", "booking"


@dataclass(frozen=True, slots=True)
class Step:
    """What an observation does to an erasure: new versions, and the record if it changes."""

    made: tuple[Entity, ...] = ()
    erasure: Erasure | None = None


def erase(state: WorkspaceState, observation: Observation, rules: RuleSet) -> Step:
    """Begins an erasure, or takes a receipt in.

    Raises:
        RecordError: there is no such contact or erasure, or the fact says nothing.
    """
    if isinstance(observation.erasure, ErasureOrder):
        return _begin(state, observation, observation.erasure)
    if isinstance(observation.erasure, Receipt):
        return _answered(state, observation, observation.erasure, rules)
    raise RecordError(Code.RECORD_UNREADABLE, "A fact of an erasure without what it says.")


def _begin(state: WorkspaceState, observation: Observation, order: ErasureOrder) -> Step:
    contacts = list(cluster(state, observation.workspace, observation.about or ""))
    survivor = contacts[0]
    if survivor.erased_at is not None or survivor.erasing_since is not None:
        return Step()
    theirs, bookings = belongings(state, contacts)
    at, cause = observation.received_at, cause_of(observation)
    going = [*contacts, *bookings]
    entities = [*going, *theirs]
    known_by = people_of(key for contact in contacts for key in contact.match_keys)
    ids = {contact.id for contact in contacts}
    erasure = Erasure(
        workspace=observation.workspace,
        id=survivor.id,
        state=ErasureState.ASKED,
        asked_at=at,
        deadline=order.deadline,
        asked_by=observation.decided_by or "",
        systems=order.systems,
        entities=tuple(f"{one.kind}/{one.id}" for one in entities),
        keys=tuple(sorted(set(keys_of(state, entities, order.systems)))),
        objects=frozenset(
            state.erasures.hash_of(entity.kind, id_) for entity in entities for id_ in entity.copies
        ),
        people=frozenset(key for key in known_by if set(state.index.holders([key])) <= ids),
        opt_outs=tuple(_opt_outs(theirs)),
    )
    made = tuple(
        replace(entity, version=entity.version + 1, cause=cause, match_keys=(), erasing_since=at)
        for entity in going
    )
    return Step(made, erasure)


def _answered(
    state: WorkspaceState, observation: Observation, receipt: Receipt, rules: RuleSet
) -> Step:
    erasure = state.erasures.of_entity(observation.kind, observation.about or "")
    if erasure is None:
        raise RecordError(
            Code.ENTITY_NOT_FOUND, f"The receipt is about {observation.about}, not erased here."
        )
    others = tuple(
        known
        for known in erasure.receipts
        if (known.system, known.entity) != (receipt.system, receipt.entity)
    )
    after = replace(erasure, receipts=(*others, receipt))
    if receipt.done is not Done.KEYS_DESTROYED or receipt.system != SELF:
        return Step(erasure=after)
    made: tuple[Entity, ...] = ()
    if erasure.state is ErasureState.ASKED:
        cause = cause_of(observation)
        made = tuple(_erased(state, erasure, receipt.at, cause, rules))
    whole = receipt.seen >= erasure.dropped
    return Step(made, replace(after, state=ErasureState.DONE if whole else ErasureState.SWEEPING))


def cluster(state: WorkspaceState, workspace: str, contact: str) -> Iterator[Entity]:
    """The contact that somebody is by now, then all that were merged into it.

    Raises:
        RecordError: there is none.
    """
    for id_ in state.index.cluster(state.index.survivor(contact)):
        found = state.get(entity_key(workspace, _CONTACT, id_))
        if found is None:
            raise RecordError(Code.ENTITY_NOT_FOUND, f"There is no contact {contact} here.")
        yield found


def belongings(
    state: WorkspaceState, contacts: Sequence[Entity]
) -> tuple[list[Entity], list[Entity]]:
    """What refers to a person, and the bookings that had nobody else and what is said of them."""
    theirs = dict(
        _referring(state, _CONTACT, (id_ for contact in contacts for id_ in contact.copies))
    )
    bookings: dict[str, Entity] = {}
    for attendance in list(theirs.values()):
        id_ = attendance.references.get("booking_ref")
        booking = id_ and state.get(entity_key(attendance.workspace, _BOOKING, id_))
        if not booking or booking.key in bookings:
            continue
        referring = dict(_referring(state, _BOOKING, booking.copies))
        if all(key in theirs for key, one in referring.items() if one.kind == "attendance"):
            bookings[booking.key] = booking
            theirs |= {key: one for key, one in referring.items() if one.kind in _EMPTIED}
    return list(theirs.values()), list(bookings.values())


def _referring(
    state: WorkspaceState, kind: str, objects: Iterable[NaturalId]
) -> Iterator[tuple[str, Entity]]:
    for key in sorted({key for one in objects for key in state.index.referrers(kind, one)}):
        found = state.get(key)
        if found is not None:
            yield key, found


def keys_of(
    state: WorkspaceState, entities: Iterable[Entity], systems: Iterable[str]
) -> Iterator[KeyName]:
    """The data keys of a person: of their entities, and of every object that is theirs alone."""
    mine = list(entities)
    ids = {entity.id for entity in mine}
    for entity in mine:
        if entity.kind == _CONTACT:
            yield contact_key(entity.id)
        yield object_key(entity.kind, entity.id)
        if entity.kind in SETTLED_BY_SINKS:
            for system in systems:  # what a sink announced before the object had an id
                yield object_key(system, entity.kind, f"~{entity.id}")
        for natural_id in {*entity.copies, *(entity.merge.objects if entity.merge else ())}:
            if set(state.index.owners(entity.kind, natural_id)) <= ids:
                yield object_key(*natural_id)


def _opt_outs(theirs: Iterable[Entity]) -> Iterator[OptOut]:
    for consent in theirs:
        purpose, at = consent.values.get("purpose"), consent.values.get("decided_at")
        withdrawn = consent.kind == "consent" and consent.values.get("granted") is False
        if withdrawn and isinstance(purpose, str) and type(at) is int:
            yield OptOut(purpose, at)


def _erased(
    state: WorkspaceState, erasure: Erasure, at: int, cause: Cause, rules: RuleSet
) -> Iterator[Entity]:
    """The last versions: nothing personal is in them, and nothing that finds them by it."""
    for name in erasure.entities:
        entity = state.get(f"{erasure.workspace}/{name}")
        if entity is None:
            continue
        before = replace(entity, erasing_since=None, erased_at=at)
        emptied = entity.kind in _EMPTIED
        copies = {} if emptied else {id_: _stripped(c) for id_, c in _of(entity)}
        merge = entity.merge and replace(entity.merge, objects=(), shared=())
        yield replace(
            with_copies(state, before, copies, cause, rules),
            references=entity.references,
            merge=merge,
        )


def _of(entity: Entity) -> Iterator[tuple[NaturalId, tuple[str, Copy]]]:
    for id_, copy in entity.copies.items():
        yield id_, (entity.kind, copy)


def _stripped(its: tuple[str, Copy]) -> Copy:
    """A copy without what is sealed and without the person whom it names."""
    kind, copy = its
    fields = kind_of(kind).field_by_name
    registers = {
        group: Register(values, register.stamps, register.differed)
        for group, register in copy.registers.items()
        if (
            values := {
                name: value
                for name, value in register.values.items()
                if not fields[name].sealed and fields[name].reference != _CONTACT
            }
        )
    }
    return replace(copy, registers=registers)
