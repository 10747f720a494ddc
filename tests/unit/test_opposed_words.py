"""Words that undo each other: deleted and updated, cancelled and moved, filled and cleared.

Whichever is heard first, the later one counts; each test hears them in every order.
"""

from collections.abc import Sequence
from itertools import permutations

import pytest

from calstream_core.settings import Pattern
from calstream_processors.resolve.ownership import PATTERNS
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.entities import Entity, NaturalId, Stamp, Values
from calstream_schemas.observations import Fact, Observation, Statement

ATTENDEE = NaturalId("calendar_live", "attendee", "att_1")
EVENT = NaturalId("calendar_live", "event", "cal_1")
CRM_CONTACT = NaturalId("hubspot", "contact", "1")
CRM_MEETING = NaturalId("hubspot", "booking", "7")
ROLES = {"calendar_live": "calendar", "hubspot": "crm"}


def _said(
    natural_id: NaturalId,
    at: int,
    *,
    fact: Fact = Fact.STATE,
    version: int = -1,
    by_self: bool = False,
    **groups: Values,
) -> Observation:
    kind = "contact" if natural_id.object_type in {"attendee", "contact"} else "booking"
    stamp = Stamp(version, at, by_self)
    return Observation(
        id=f"{natural_id}@{at}/{fact}",
        workspace="acme",
        fact=fact,
        kind=kind,
        natural_id=natural_id,
        role=ROLES[natural_id.system],
        received_at=1000,
        occurred_at=at,
        statements=tuple(Statement(group, values, stamp) for group, values in groups.items()),
        same_as=ATTENDEE if kind == "contact" else EVENT,
    )


def _heard(said: Sequence[Observation], pattern: Pattern = Pattern.TWO_WAY) -> Entity:
    """The one entity that they are about; the objects are known from the start."""
    workspace, rules = Workspace(), PATTERNS[pattern]
    first = ATTENDEE if said[0].kind == "contact" else EVENT
    for observation in (_said(first, 0), *said):
        for entity in resolve(workspace, observation, rules):
            workspace.put(entity)
    (found,) = workspace.entities.values()
    return found


def _in_every_order(*said: Observation) -> list[Entity]:
    found = [_heard(order) for order in permutations(said)]
    assert all(each.copies == found[0].copies for each in found)
    assert all(each.values == found[0].values for each in found)
    return found


def test_an_update_before_a_deletion_brings_nobody_back() -> None:
    update = _said(ATTENDEE, 10, company={"company": "N"})
    deleted = _said(ATTENDEE, 20, fact=Fact.GONE)
    for found in _in_every_order(update, deleted):
        assert found.copies[ATTENDEE].gone
        assert found.copies[ATTENDEE].gone_at == 20


def test_an_update_after_a_deletion_brings_the_object_back() -> None:
    update = _said(ATTENDEE, 10, company={"company": "N"})
    deleted = _said(ATTENDEE, 20, fact=Fact.GONE)
    restored = _said(ATTENDEE, 30, company={"company": "N"})
    for found in _in_every_order(update, deleted, restored):
        assert not found.copies[ATTENDEE].gone
        assert found.values["company"] == "N"


def test_an_update_at_the_time_of_the_deletion_does_not_undo_it() -> None:
    deleted = _said(ATTENDEE, 20, fact=Fact.GONE)
    for found in _in_every_order(_said(ATTENDEE, 20, company={"company": "N"}), deleted):
        assert found.copies[ATTENDEE].gone_at == 20


def test_what_one_system_deletes_another_still_has() -> None:
    deleted = _said(ATTENDEE, 20, fact=Fact.GONE)
    crm = _said(CRM_CONTACT, 5, name={"full_name": "Jo"})
    for found in _in_every_order(_said(ATTENDEE, 10, name={"full_name": "J"}), crm, deleted):
        assert not found.copies[CRM_CONTACT].gone


def test_what_we_wrote_elsewhere_is_not_gone_with_what_it_came_from() -> None:
    deleted = _said(ATTENDEE, 20, fact=Fact.GONE)
    written = _said(CRM_CONTACT, 30, by_self=True, fact=Fact.RESULT, name={"full_name": "J"})
    for found in _in_every_order(_said(ATTENDEE, 10, name={"full_name": "J"}), written, deleted):
        assert found.copies[ATTENDEE].gone
        assert not found.copies[CRM_CONTACT].gone
        assert found.values["full_name"] == "J"


def _event(version: int, at: int, status: str, start: int) -> Observation:
    return _said(
        EVENT,
        at,
        version=version,
        status={"status": status, "cancellation": '{"by":"jo"}' if status == "cancelled" else None},
        schedule={"start_at": start, "end_at": start + 30},
    )


@pytest.mark.parametrize(
    ("cancel", "move", "status"), [(1, 2, "confirmed"), (2, 1, "cancelled")], ids=["moved", "off"]
)
def test_of_a_cancel_and_a_reschedule_in_one_system_its_later_version_counts(
    cancel: int, move: int, status: str
) -> None:
    # the clock of the source says the opposite: its own version goes before it
    cancelled = _event(cancel, 20 - cancel, "cancelled", 100)
    moved = _event(move, 20 - move, "confirmed", 500)
    for found in _in_every_order(cancelled, moved):
        assert found.values["status"] == status
        assert found.values["start_at"] == (500 if move > cancel else 100)
        assert (found.values["cancellation"] is None) == (status == "confirmed")


@pytest.mark.parametrize("moved_at", [5, 50])
def test_a_reschedule_elsewhere_does_not_bring_a_cancelled_booking_back(moved_at: int) -> None:
    cancelled = _event(1, 20, "cancelled", 100)
    moved = _said(CRM_MEETING, moved_at, schedule={"start_at": 500, "end_at": 530})
    booked = _event(0, 1, "confirmed", 100)
    for found in _in_every_order(booked, cancelled, moved):
        assert found.values["status"] == "cancelled"
        assert found.values["start_at"] == 500  # the calendar said 100 at 1 and never since


def test_who_says_confirmed_after_a_cancel_brings_the_booking_back() -> None:
    cancelled = _event(1, 20, "cancelled", 100)
    confirmed = _said(CRM_MEETING, 50, status={"status": "confirmed", "cancellation": None})
    for found in _in_every_order(cancelled, confirmed):
        assert (found.values["status"], found.values["cancellation"]) == ("confirmed", None)


@pytest.mark.parametrize("at", [5, 50])
def test_a_field_that_is_cleared_is_cleared_if_nobody_filled_it_later(at: int) -> None:
    filled = _said(ATTENDEE, 20, company={"company": "N"})
    for by in (ATTENDEE, CRM_CONTACT):
        for found in _in_every_order(filled, _said(by, at, company={"company": None})):
            assert found.values["company"] == (None if at > 20 else "N")
            assert "company" in found.values


def test_what_is_left_out_clears_nothing() -> None:
    filled = _said(ATTENDEE, 20, company={"company": "N"})
    for found in _in_every_order(filled, _said(ATTENDEE, 50, name={"full_name": "Jo"})):
        assert found.values["company"] == "N"


def test_an_owner_who_clears_a_field_is_not_talked_over() -> None:
    filled = _said(CRM_CONTACT, 20, company={"company": "N"})
    cleared = _said(CRM_CONTACT, 30, company={"company": None})
    other = _said(ATTENDEE, 40, company={"company": "Other"})
    for order in permutations((filled, cleared, other)):
        found = _heard(order, Pattern.CALENDAR_TO_CRM)  # there the CRM owns companies
        assert (found.values["company"], found.decisions["company"].rule) == (None, "owner")


def test_what_nobody_says_any_more_is_kept_and_not_lost() -> None:
    said = _said(ATTENDEE, 10, company={"company": "N"})
    written = _said(CRM_CONTACT, 12, by_self=True, company={"company": "N"})
    overwritten = _said(ATTENDEE, 30, by_self=True, fact=Fact.RESULT, company={"company": "N."})
    for found in _in_every_order(said, written, overwritten):
        assert found.values["company"] == "N."
        assert found.decisions["company"].rule == "kept"
