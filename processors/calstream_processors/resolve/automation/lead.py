"""What the rules say of people who book: score, owner, and that a score is high. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from calstream_processors.resolve.assignments import Turn, copies_of_rules
from calstream_processors.resolve.automation.assignment import (
    assigned,
    needs_owner,
    next_owner,
    released,
)
from calstream_processors.resolve.automation.high_score import high_score
from calstream_processors.resolve.automation.scoring import answered_at, answers_of, matches
from calstream_processors.resolve.automation.source import source_of
from calstream_processors.resolve.automation.word import Wanted, news
from calstream_processors.resolve.consequences import SYSTEM, Change
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Entity, entity_key, kind_of_key
from calstream_schemas.lead_rules import LeadRules, ScoringRule
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RuleSet


def leads(
    state: WorkspaceState, changes: Sequence[Change], rules: RuleSet
) -> Iterator[Observation]:
    """Draws what follows for contacts from changes of attendances. A `Consequence`."""
    given: Counter[Turn] = Counter()
    done: set[str] = set()
    asked = bool(rules.leads.scoring or rules.leads.assignees)
    for change in changes:
        after = change.after
        if after.kind == "contact":
            yield from released(after, change.cause)
        if not asked or after.kind != "attendance" or not _matters(change):
            continue
        for id_ in sorted(_people(change) - done):
            done.add(id_)
            contact = state.get(entity_key(after.workspace, "contact", id_))
            if contact is not None and contact.merge is None:
                yield from _lead(state, contact, change, rules.leads, given)


def restate(
    state: WorkspaceState, contacts: Iterable[Entity], rules: RuleSet, cause: Observation
) -> Iterator[Observation]:
    """What must be said anew of contacts under other rules. Nobody is told, nobody assigned.

    Args:
        state: of the workspace.
        contacts: all of its contacts.
        rules: the other rules.
        cause: the observation of them.
    """
    for contact in contacts:
        if contact.merge is None:
            answered = _attendances(state, contact) if rules.leads.scoring else ()
            score = _score(_held(rules.leads, answered))
            wanted: Wanted = {"lead_source": source_of(contact.copies, rules.leads), **score}
            yield from news(cause, contact, wanted)


def _matters(change: Change) -> bool:
    """Whether an attendance is somebody's now, or no longer, or was answered otherwise."""
    before, after = change.before, change.after
    if before is None:
        return "contact_ref" in after.references
    return _concerns(before) != _concerns(after)


def _concerns(attendance: Entity) -> tuple[object, ...]:
    return (
        attendance.references.get("contact_ref"),
        attendance.values.get("answers"),
        answered_at(attendance),
    )


def _people(change: Change) -> set[str]:
    found = {
        version.references.get("contact_ref")
        for version in (change.before, change.after)
        if version is not None
    }
    return {id_ for id_ in found if id_ is not None}


def _lead(
    state: WorkspaceState,
    contact: Entity,
    change: Change,
    rules: LeadRules,
    given: Counter[Turn],
) -> Iterator[Observation]:
    attendance, cause = change.after, change.cause
    is_theirs = attendance.references.get("contact_ref") == contact.id
    # without a scoring table it takes no look at their other attendances
    attendances = _attendances(state, contact) if rules.scoring else []
    held = _held(rules, attendances)
    yield from news(cause, contact, _score(held))
    has_owner = contact.values.get("owner_id") is not None
    if _is_booked(change) and is_theirs and needs_owner(contact):
        owner_id = next_owner(rules, state.assignments, given)
        if owner_id is not None:
            given[rules.round_id, owner_id] += 1
            has_owner = True
            yield assigned(contact, owner_id, rules, cause)
    if _is_lifted(contact, held, rules) and not change.refolded:
        newest = max(attendances, key=lambda each: (answered_at(each), each.id))
        if newest.values.get("status") != "cancelled":
            yield from high_score(state, newest, held or [], has_owner=has_owner, cause=cause)


def _attendances(state: WorkspaceState, contact: Entity) -> list[Entity]:
    keys = {
        key
        for id_ in contact.copies
        if id_.system != SYSTEM
        for key in state.index.referrers("contact", id_)
        if kind_of_key(key) == "attendance"
    }
    found = (state.get(key) for key in sorted(keys))
    return [each for each in found if each and each.references.get("contact_ref") == contact.id]


def _held(rules: LeadRules, attendances: Sequence[Entity]) -> list[ScoringRule] | None:
    """The rows of the table that hold; None where there is no table, or nobody answered."""
    answers = answers_of(attendances) if rules.scoring else {}
    return matches(rules.scoring, answers) if answers else None


def _score(held: list[ScoringRule] | None) -> Wanted:
    score = None if held is None else {"lead_score": sum(row.points for row in held)}
    return {"lead_score": score}


def _is_booked(change: Change) -> bool:
    """Whether somebody turns out to have booked who was not known to."""
    is_new = change.before is None or "contact_ref" not in change.before.references
    return is_new and change.after.values.get("status") != "cancelled"


def _is_lifted(contact: Entity, held: list[ScoringRule] | None, rules: LeadRules) -> bool:
    """Whether the score is over the threshold and was not before."""
    if rules.threshold is None or sum(row.points for row in held or ()) < rules.threshold:
        return False
    said = [
        score
        for copy in copies_of_rules(contact, contact.kind)
        if "lead_score" in copy.registers
        and isinstance(score := copy.registers["lead_score"].values.get("lead_score"), int)
    ]
    return held is not None and all(score < rules.threshold for score in said)
