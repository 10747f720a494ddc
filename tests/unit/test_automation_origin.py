"""Flow C: a booking that a CRM made is one booking, before and after calendar.live has it."""

import itertools
from datetime import timedelta

import pytest
from tests.unit.automation_scene import (
    NOON,
    START,
    Truth,
    booking,
    calendar,
    crm_says,
    observations_of,
)

from calstream_core.clock import to_microseconds
from calstream_core.settings import Pattern
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM, PATTERNS
from calstream_sandbox.calendar_live.model import Origin
from calstream_schemas.entities import NaturalId, Values
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import RuleSet

MEETING = NaturalId("hubspot", "booking", "9001")
SCHEDULE: Values = {
    "start_at": to_microseconds(START),
    "end_at": to_microseconds(START + timedelta(minutes=30)),
    "timezone": "UTC",
    "wall_start": None,
}


def _made_in_crm(**more: Values) -> Observation:
    groups: dict[str, Values] = {"title": {"title": "Demo"}, "schedule": SCHEDULE, **more}
    return crm_says(MEETING, "booking", NOON - timedelta(hours=1), groups)


def _told(origin: Origin | None = None) -> list[Observation]:
    return list(itertools.chain(*_webhooks(origin)))


def _webhooks(origin: Origin | None = None) -> list[tuple[Observation, ...]]:
    scene = calendar()
    person = scene.add_attendee("jo@example.com", "Jo")
    asked = booking(origin=origin or Origin("hubspot", "9001"))
    event, told = scene.book(asked, person)
    told += scene.update(event, title="Demo with Jo")
    return [observations_of(webhook) for webhook in told]


def test_a_booking_that_only_the_crm_has_carries_its_id_there() -> None:
    truth = Truth()
    truth.observe(_made_in_crm())
    found = truth.only("booking")
    assert (found.values["origin_system"], found.values["origin_id"]) == ("hubspot", "9001")
    assert str(found.decisions["origin"].id) == f"rules/booking/{found.id}"
    versions = truth.versions
    truth.observe(_made_in_crm())
    assert truth.versions == versions


@pytest.mark.parametrize("pattern", Pattern)
def test_once_calendar_live_gives_the_uid_it_is_the_same_booking(pattern: Pattern) -> None:
    truth = Truth(PATTERNS[pattern])
    truth.observe(_made_in_crm())
    before = truth.only("booking")
    assert "uid" not in before.values
    for observation in _told():
        truth.observe(observation)
    after = truth.only("booking")
    assert after.id == before.id
    assert str(after.values["uid"]).endswith("@calendar.live")
    assert (after.values["origin_system"], after.values["origin_id"]) == ("hubspot", "9001")
    assert {str(id_).split("/")[0] for id_ in after.copies} == {"calendar_live", "hubspot", "rules"}
    (attendance,) = truth.of("attendance")
    assert attendance.references["booking_ref"] == after.id


@pytest.mark.parametrize("rules", [CALENDAR_TO_CRM, PATTERNS[Pattern.CRM_TO_CALENDAR]])
def test_whichever_is_heard_first_there_is_one_booking_with_the_same_truth(rules: RuleSet) -> None:
    told = [[each for each in one if each.kind == "booking"] for one in _webhooks()]
    results = set()
    for order, place in itertools.product(itertools.permutations(told), range(5)):
        truth = Truth(rules)
        observations = list(itertools.chain(*order))
        observations.insert(place, _made_in_crm())
        for observation in observations:
            truth.observe(observation)
        found = truth.only("booking")
        assert found.copies[MEETING].role == "crm"
        results.add(tuple(sorted((name, str(value)) for name, value in found.values.items())))
    assert len(results) == 1


def test_what_we_wrote_into_the_crm_is_no_booking_of_the_crm() -> None:
    truth = Truth()
    groups: dict[str, Values] = {"title": {"title": "Demo"}}
    truth.observe(crm_says(MEETING, "booking", NOON, groups, by_self=True))
    assert "origin" not in truth.only("booking").decisions


@pytest.mark.parametrize(
    "origin",
    [
        Origin("rules", "1"),
        Origin("calendar_live", "1"),
        Origin("Hub/Spot", "1"),
        Origin("", "1"),
        Origin("hubspot", ""),
    ],
)
def test_an_origin_that_is_no_system_s_name_is_kept_and_pairs_nothing(origin: Origin) -> None:
    truth = Truth()
    for observation in _told(origin):
        truth.observe(observation)
    found = truth.only("booking")
    assert [id_.system for id_ in found.copies] == ["calendar_live"]
    assert found.values["origin_system"] == (origin.system or None)
