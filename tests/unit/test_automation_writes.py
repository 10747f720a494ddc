"""The page says what rules write, all of it and no more."""

from tests.unit.automation_scene import (
    NOON,
    WORKSHOP,
    Truth,
    booking,
    calendar,
    crm_says,
    rules_with,
)

from calstream_processors.resolve.automation.writes import WRITTEN_BY_RULES
from calstream_schemas.entities import NaturalId
from calstream_schemas.lead_rules import Assignee, LeadRules, Operator, ScoringRule
from calstream_schemas.rule_sets import RULES


def test_the_groups_that_rules_write_are_listed() -> None:
    leads = LeadRules(
        scoring=(ScoringRule("a", Operator.ANSWERED, None, 5),),
        threshold=5,
        assignees=(Assignee("7"),),
    )
    truth, scene = Truth(rules_with(leads)), calendar()
    asked = booking(WORKSHOP, answers={"a": "b"})
    truth.receive(scene.book(asked, scene.add_attendee("jo@example.com", "Jo"))[1])
    meeting = NaturalId("hubspot", "booking", "9")
    truth.observe(crm_says(meeting, "booking", NOON, {"title": {"title": "Demo"}}))
    written = {
        (entity.kind, group)
        for entity in truth.state.entities.values()
        for copy in entity.copies.values()
        if copy.role == RULES
        for group in copy.registers
    }
    assert written == set(WRITTEN_BY_RULES)
