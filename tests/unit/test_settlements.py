"""A person ends a conflict: their word stands until a system says something new."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_resolve_convergence import History, histories

from calstream_core.errors import Code, RecordError
from calstream_core.settings import Pattern
from calstream_ops.settlement_values import values_of_system, values_typed
from calstream_processors.resolve.conflicts import conflict_changes, conflicts_of
from calstream_processors.resolve.ownership import PATTERNS
from calstream_processors.resolve.refold import refold
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.conflicts import ConflictState
from calstream_schemas.entities import Cause, Entity, NaturalId, Stamp, Values
from calstream_schemas.observations import DECIDERS, Fact, Observation, Statement
from calstream_schemas.settlements import settle, settlement_of

RULES = PATTERNS[Pattern.TWO_WAY]
CALENDAR = NaturalId("calendar_live", "attendee", "att_1")
CRM = NaturalId("hubspot", "contact", "1")
ROLES = {CALENDAR: "calendar", CRM: "crm"}


def _says(
    natural_id: NaturalId, at: int, company: str | None, *, by_self: bool = False
) -> Observation:
    statement = Statement("company", {"company": company}, Stamp(-1, at, by_self))
    return Observation(
        id=f"{natural_id}@{at}",
        workspace="acme",
        fact=Fact.STATE,
        kind="contact",
        natural_id=natural_id,
        role=ROLES[natural_id],
        received_at=at,
        occurred_at=at,
        statements=(statement,),
        same_as=CALENDAR,
    )


def _heard(said: Sequence[Observation], pattern: Pattern = Pattern.TWO_WAY) -> Entity:
    workspace, rules = Workspace(), PATTERNS[pattern]
    for observation in said:
        for entity in resolve(workspace, observation, rules):
            workspace.put(entity)
    (found,) = workspace.entities.values()
    return found


CONFLICT = (_says(CALENDAR, 100, "N"), _says(CRM, 200, "S"))


def _settled(company: str | None, at: int = 300) -> Observation:
    return settle(_heard(CONFLICT), "company", {"company": company}, "dana", at)


@pytest.mark.parametrize("company", ["N", "S", "Northwind", None])
def test_what_a_person_decides_is_the_truth_and_ends_the_conflict(company: str | None) -> None:
    before = _heard(CONFLICT)
    known = conflicts_of(before, RULES)
    after = _heard((*CONFLICT, _settled(company)))
    assert after.values["company"] == company
    assert after.decisions["company"].rule == "settled"
    (ended,) = conflict_changes(after, RULES, known)
    assert (ended.state, ended.rule) == (ConflictState.SETTLED, "settled")
    assert ended.decided_for == settlement_of(before.id)
    assert ended.voices == known["company"].voices


@pytest.mark.parametrize("pattern", list(Pattern))
def test_it_goes_before_every_owner(pattern: Pattern) -> None:
    after = _heard((*CONFLICT, _settled("Northwind")), pattern)
    assert after.values["company"] == "Northwind"


def test_it_stays_while_systems_only_repeat_themselves() -> None:
    repeated = (_says(CALENDAR, 900, "N"), _says(CRM, 901, "S"))
    after = _heard((*CONFLICT, _settled("N"), *repeated))
    assert after.decisions["company"].rule == "settled"
    assert conflicts_of(after, RULES) == {}


def test_it_stays_when_the_sink_has_written_it() -> None:
    after = _heard((*CONFLICT, _settled("N"), _says(CRM, 400, "N", by_self=True)))
    assert after.decisions["company"].rule == "settled"


def test_once_a_system_speaks_anew_the_rules_decide_among_what_is_new() -> None:
    settled = _settled("N")
    after = _heard((*CONFLICT, settled, _says(CRM, 400, "T")), Pattern.CALENDAR_TO_CRM)
    assert (after.values["company"], after.decisions["company"].id) == ("T", CRM)
    # the calendar's old word is no conflict with the new one: it was settled
    assert conflicts_of(after, RULES) == {}
    both = _heard((*CONFLICT, settled, _says(CRM, 400, "T"), _says(CALENDAR, 450, "U")))
    assert both.values["company"] == "U"
    assert set(conflicts_of(both, RULES)) == {"company"}


def test_a_late_word_from_before_the_decision_does_not_undo_it() -> None:
    after = _heard((*CONFLICT, _settled("N"), _says(CRM, 250, "T")))
    assert after.values["company"] == "N"


def test_a_word_of_a_clock_that_is_ahead_was_heard_too() -> None:
    ahead = (_says(CALENDAR, 100, "N"), _says(CRM, 5000, "S"))
    settled = settle(_heard(ahead), "company", {"company": "N"}, "dana", 300)
    assert _heard((*ahead, settled)).values["company"] == "N"


def test_the_last_of_several_decisions_counts_and_the_order_of_arrival_does_not() -> None:
    first, second = _settled("N", 300), _settled("S", 350)
    new = _says(CALENDAR, 320, "M")
    found = [_heard((CONFLICT[0], *o)) for o in permutations((CONFLICT[1], first, second, new))]
    assert {each.values["company"] for each in found} == {"S"}
    assert all(each.copies == found[0].copies for each in found)


def test_other_rules_leave_it_alone() -> None:
    workspace = Workspace()
    for observation in (*CONFLICT, _settled("N")):
        for entity in resolve(workspace, observation, RULES):
            workspace.put(entity)
    other = PATTERNS[Pattern.CRM_TO_CALENDAR]
    (before,) = workspace.entities.values()
    for after in refold(workspace, [before], other, Cause("o", 1, 1)):
        assert after.values == before.values
        assert after.decisions["company"] == before.decisions["company"]


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(0, 5), st.integers(1, 6))
def test_any_order_with_a_decision_among_it_gives_the_same_truth(
    history: History, place: int, at: int
) -> None:
    kind, first, shuffled = history
    nobody = Entity("acme", kind.name, "e", 1, 1, Cause("o", 1, 1))
    group = kind.groups[place % len(kind.groups)]
    decided = settle(nobody, group.name, {field.name: None for field in group.fields}, "d", at)
    found = []
    for order in ((*first, decided), (decided, *shuffled)):
        workspace = Workspace()
        workspace.put(nobody)
        for observation in order:
            for entity in resolve(workspace, replace(observation, about="e"), RULES):
                workspace.put(entity)
        found.append(workspace.entities[nobody.key])
    assert found[0].copies == found[1].copies
    assert (found[0].values, found[0].decisions) == (found[1].values, found[1].decisions)


def test_the_word_of_a_system_without_a_rule_is_refused_with_a_code() -> None:
    stranger = replace(_says(CRM, 100, "N"), role="warehouse")
    with pytest.raises(RecordError) as refused:
        resolve(Workspace(), stranger, RULES)
    assert refused.value.code is Code.SOURCE_WITHOUT_RULE
    assert _settled("N").role == DECIDERS  # a person's is not


def test_what_a_system_says_is_found_by_its_name() -> None:
    conflict = conflicts_of(_heard(CONFLICT), RULES)["company"]
    assert values_of_system(conflict, "hubspot") == {"company": "S"}
    with pytest.raises(ValueError, match="calendar_live, hubspot are"):
        values_of_system(conflict, "zoom")


BOOKING = Entity(
    "acme", "booking", "b", 1, 1, Cause("o", 1, 1), values={"timezone": "Europe/Berlin"}
)
PERSON = Entity("acme", "contact", "c", 1, 1, Cause("o", 1, 1))


@pytest.mark.parametrize(
    ("entity", "group", "typed", "values"),
    [
        (PERSON, "company", ["Northwind Ltd"], {"company": "Northwind Ltd"}),
        (PERSON, "company", ["company="], {"company": None}),
        (PERSON, "email", [" Jo@Example.com "], {"email": "jo@example.com"}),
        (
            PERSON,
            "phone",
            ["(415) 555-2671"],
            {"phone": "+14155552671", "phone_raw": "(415) 555-2671"},
        ),
        (PERSON, "lead_score", ["42"], {"lead_score": 42}),
        (
            BOOKING,
            "schedule",
            ["start_at=2026-11-27T15:00:00Z", "end_at=2026-11-27T15:30:00Z"],
            {
                "start_at": 1_795_791_600_000_000,
                "end_at": 1_795_793_400_000_000,
                "timezone": "Europe/Berlin",
                "wall_start": "2026-11-27T16:00:00",
            },
        ),
    ],
)
def test_what_somebody_types_is_read_as_the_systems_words_are(
    entity: Entity, group: str, typed: list[str], values: Values
) -> None:
    assert values_typed(entity, group, typed, "US") == values


@pytest.mark.parametrize(
    ("entity", "group", "typed", "message"),
    [
        (BOOKING, "schedule", ["2026-11-27T15:00:00Z"], "several fields"),
        (BOOKING, "schedule", ["start_at=2026-11-27T15:00:00"], "without an offset"),
        (BOOKING, "event_type", ["paid=perhaps"], "true or false"),
        (PERSON, "email", ["a@b@c"], "not an e-mail address"),
        (PERSON, "phone", ["911"], "no number"),
        (PERSON, "lead_score", ["many"], "invalid literal"),
    ],
)
def test_what_is_no_value_is_refused(
    entity: Entity, group: str, typed: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        values_typed(entity, group, typed, "US")
