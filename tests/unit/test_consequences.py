"""What follows from a change: drawn at once, recorded as copies of the rules, and at an end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from calstream_core.errors import Code, InvariantError
from calstream_processors.resolve.consequences import (
    MOST_STEPS,
    SYSTEM,
    Change,
    follow,
    follow_up,
    said_by_rules,
)
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import NaturalId, Stamp
from calstream_schemas.observations import (
    NO_VERSION,
    Fact,
    Observation,
    Statement,
    observation_id,
)
from calstream_schemas.rule_sets import RuleSet

PERSON = NaturalId("calendar_live", "attendee", "att_1")


def _told(event: str) -> Observation:
    stamp = Stamp(NO_VERSION, 1_000, by_self=False)
    return Observation(
        id=observation_id("calendar_live", event, Fact.STATE, PERSON),
        workspace="acme",
        fact=Fact.STATE,
        kind="contact",
        natural_id=PERSON,
        role="calendar",
        received_at=2_000,
        occurred_at=1_000,
        statements=(Statement("email", {"email": "jo@example.com"}, stamp),),
    )


def _sourced(
    _state: WorkspaceState, changes: Sequence[Change], _rules: RuleSet
) -> Iterator[Observation]:
    for change in changes:
        stamp = Stamp(NO_VERSION, change.cause.occurred_at, by_self=False)
        group = Statement("lead_source", {"lead_source": "calendar.live"}, stamp)
        id_ = NaturalId(SYSTEM, "contact", change.after.id)
        yield said_by_rules(change.cause, "contact", id_, [group], about=change.after.id)


def _applied(state: Workspace, observation: Observation) -> list[Change]:
    made = resolve(state, observation, CALENDAR_TO_CRM)
    return [Change(state.put(entity), entity, observation) for entity in made]


def test_what_a_rule_says_is_a_copy_of_its_own_and_ends_where_nothing_is_new() -> None:
    state = Workspace()
    changes = _applied(state, _told("evt_1"))
    (drawn,) = follow(state, changes, CALENDAR_TO_CRM, [_sourced])
    (again,) = _applied(state, drawn)
    assert (again.before, again.after.version) == (changes[0].after, 2)
    assert again.after.copies.keys() == {PERSON, NaturalId(SYSTEM, "contact", again.after.id)}
    # drawn once more from its own change it says the same, and that changes nothing
    (third,) = follow(state, [again], CALENDAR_TO_CRM, [_sourced])
    assert _applied(state, third) == []


def test_the_same_cause_gives_the_same_observation_again() -> None:
    first, second = (
        list(follow(state, _applied(state, _told("evt_1")), CALENDAR_TO_CRM, [_sourced]))
        for state in (Workspace(), Workspace())
    )
    assert first == second
    (other,) = follow(
        state := Workspace(), _applied(state, _told("evt_2")), CALENDAR_TO_CRM, [_sourced]
    )
    assert other.id != first[0].id


def test_where_nothing_changed_nothing_follows() -> None:
    assert list(follow(Workspace(), [], CALENDAR_TO_CRM, [_sourced])) == []


def test_a_refold_is_told_apart_from_what_happened() -> None:
    state = Workspace()
    (change,) = _applied(state, _told("evt_1"))
    assert not change.refolded
    assert replace(change, cause=replace(change.cause, fact=Fact.RULES)).refolded


def test_what_follows_is_followed_until_nothing_does() -> None:
    state = Workspace()
    follow_up(
        state,
        _applied(state, _told("evt_1")),
        CALENDAR_TO_CRM,
        [_sourced],
        lambda observation: _applied(state, observation),
    )
    (contact,) = state.entities.values()
    assert (contact.version, contact.values["lead_source"]) == (2, "calendar.live")


def test_many_may_follow_from_one_but_a_circle_is_found() -> None:
    def many(
        _state: WorkspaceState, changes: Sequence[Change], _rules: RuleSet
    ) -> Iterator[Observation]:
        for change in changes:
            if change.before is None:
                yield from (_told(f"evt_{n}") for n in range(3 * MOST_STEPS))

    applied: list[Observation] = []

    def apply(observation: Observation) -> list[Change]:
        applied.append(observation)
        return []

    state = Workspace()
    changes = _applied(state, _told("evt_1"))
    follow_up(state, changes, CALENDAR_TO_CRM, [many], apply)
    assert len(applied) == 3 * MOST_STEPS
    with pytest.raises(InvariantError) as caught:
        follow_up(state, changes, CALENDAR_TO_CRM, [_sourced], lambda _drawn: changes)
    assert caught.value.code is Code.INVARIANT_BROKEN
