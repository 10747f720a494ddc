"""Conflicts: when systems are in one, what is kept of it, and what ends it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_resolve_convergence import History, _copies, histories

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_core.sealing import KeyStore, contact_key
from calstream_core.settings import Pattern
from calstream_processors.resolve.conflicts import conflict_changes, conflicts_of
from calstream_processors.resolve.fold import fold
from calstream_processors.resolve.ownership import PATTERNS
from calstream_processors.resolve.state import OpenConflicts
from calstream_schemas.codec import Poison
from calstream_schemas.conflicts import (
    Conflict,
    ConflictState,
    decode_conflict,
    encode_conflict,
)
from calstream_schemas.entities import (
    KINDS,
    Cause,
    Copy,
    Entity,
    NaturalId,
    Register,
    Stamp,
    entity_id,
)

RULES = PATTERNS[Pattern.TWO_WAY]
WINDOW = RULES.conflict_window_seconds * MICROSECONDS_PER_SECOND
CALENDAR = NaturalId("calendar_live", "attendee", "att_1")
CRM = NaturalId("hubspot", "contact", "1")
OTHER = NaturalId("calendar_live", "attendee", "att_2")
ROLES = {CALENDAR: "calendar", OTHER: "calendar", CRM: "crm"}


def _copy(id_: NaturalId, company: str, at: int, *, by_self: bool = False) -> Copy:
    register = Register({"company": company}, (Stamp(-1, at, by_self=by_self),))
    return Copy(id_, ROLES[id_], {"company": register})


def _entity(*copies: Copy, observation: str = "o1") -> Entity:
    held = {copy.id: copy for copy in copies}
    values, decisions = fold(KINDS["contact"], copies, RULES)
    id_ = entity_id("acme", "contact", CALENDAR)
    return Entity("acme", "contact", id_, 1, 1, Cause(observation, 7, 7), held, values, decisions)


def _open() -> Mapping[str, Conflict]:
    return conflicts_of(_entity(_copy(CALENDAR, "N", 100), _copy(CRM, "S", 200)), RULES)


def test_systems_that_differ_within_the_window_are_in_conflict() -> None:
    conflict = _open()["company"]
    assert (conflict.state, conflict.rule, conflict.decided_for) == ("open", "newest", CRM)
    assert [(v.id, v.values, v.changed_at) for v in conflict.voices] == [
        (CALENDAR, {"company": "N"}, 100),
        (CRM, {"company": "S"}, 200),
    ]
    assert conflict.key == f"acme/contact/{conflict.entity_id}/company"


@pytest.mark.parametrize(("apart", "count"), [(WINDOW, 1), (WINDOW + 1, 0)])
def test_the_window_decides(apart: int, count: int) -> None:
    assert (
        len(conflicts_of(_entity(_copy(CALENDAR, "N", 5), _copy(CRM, "S", 5 + apart)), RULES))
        == count
    )


@pytest.mark.parametrize(
    "other",
    [_copy(CRM, "N", 200), _copy(CRM, "S", 200, by_self=True), _copy(OTHER, "S", 200)],
    ids=["the_same_value", "written_by_us", "the_same_system"],
)
def test_what_is_no_conflict(other: Copy) -> None:
    assert conflicts_of(_entity(_copy(CALENDAR, "N", 100), other), RULES) == {}


@pytest.mark.parametrize(
    ("calendar", "state"),
    [
        (_copy(CALENDAR, "S", 300), ConflictState.AGREED),
        (_copy(CALENDAR, "S", 300, by_self=True), ConflictState.OVERRULED),
        (_copy(CALENDAR, "T", 300 + WINDOW), ConflictState.PASSED),
    ],
)
def test_a_conflict_ends_and_says_how(calendar: Copy, state: ConflictState) -> None:
    known = _open()
    after = _entity(calendar, _copy(CRM, "S", 200), observation="o2")
    (ended,) = conflict_changes(after, RULES, known)
    assert (ended.state, ended.observation_id) == (state, "o2")
    assert ended.voices == known["company"].voices


def test_a_conflict_ends_when_one_of_its_objects_is_another_contacts() -> None:
    known = _open()
    for left in ((_copy(CRM, "S", 200),), ()):  # unmerged; merged into another
        (ended,) = conflict_changes(_entity(*left), RULES, known)
        assert ended.state == ConflictState.PASSED


def test_a_conflict_that_stands_unchanged_is_not_written_again() -> None:
    again = _entity(_copy(CALENDAR, "N", 100), _copy(CRM, "S", 200), observation="o2")
    assert list(conflict_changes(again, RULES, _open())) == []


def test_a_conflict_over_another_value_is_written_again() -> None:
    after = _entity(_copy(CALENDAR, "M", 250), _copy(CRM, "S", 200), observation="o2")
    (changed,) = conflict_changes(after, RULES, _open())
    assert (changed.state, changed.decided_for) == (ConflictState.OPEN, CALENDAR)


def test_other_rules_that_decide_otherwise_are_told() -> None:
    rules = replace(RULES, owners={**RULES.owners, ("contact", "company"): "calendar"})
    before = _entity(_copy(CALENDAR, "N", 100), _copy(CRM, "S", 200))
    values, decisions = fold(KINDS["contact"], before.copies.values(), rules)
    after = replace(before, values=values, decisions=decisions)
    (changed,) = conflict_changes(after, rules, _open())
    assert (changed.rule, changed.decided_for) == ("owner", CALENDAR)


def test_those_that_are_open_are_remembered_until_they_end() -> None:
    known = OpenConflicts()
    conflict = _open()["company"]
    known.put(conflict)
    assert known.of(conflict.entity_key) == {"company": conflict}
    known.put(replace(conflict, state=ConflictState.AGREED))
    assert known.of(conflict.entity_key) == {}


def test_a_conflict_is_read_back_and_its_personal_values_are_sealed(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path)
    register = Register({"full_name": "Jo Park"}, (Stamp(-1, 5, by_self=False),))
    other = Register({"full_name": "Joanna"}, (Stamp(-1, 6, by_self=False),))
    copies = (Copy(CALENDAR, "calendar", {"name": register}), Copy(CRM, "crm", {"name": other}))
    conflict = conflicts_of(_entity(*copies), RULES)["name"]
    raw = encode_conflict(conflict, keys.sealer("acme").under(contact_key("one")))
    assert b"Jo" not in raw
    assert decode_conflict(raw, keys.sealer) == conflict
    assert isinstance(decode_conflict(raw, KeyStore(tmp_path / "other").sealer), Poison)
    assert isinstance(decode_conflict(raw[:-1], keys.sealer), Poison)


@settings(max_examples=300, deadline=None)
@given(histories(), st.sampled_from(sorted(PATTERNS)))
def test_any_order_and_any_repetition_gives_the_same_conflicts(
    history: History, pattern: Pattern
) -> None:
    kind, *orders = history
    found = []
    for order in orders:
        copies = _copies(order)
        values, decisions = fold(kind, copies.values(), PATTERNS[pattern])
        entity = Entity("acme", kind.name, "id", 1, 1, Cause("o", 1, 1), copies, values, decisions)
        found.append(conflicts_of(entity, PATTERNS[pattern]))
    assert found[0] == found[1]
