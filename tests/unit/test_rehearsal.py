"""The plan for other rules is what applying them then does."""

from dataclasses import replace

from tests.unit.automation_scene import NOON, Truth, booking, calendar, crm_says, rules_with

from calstream_processors.resolve.automation.lead import restate
from calstream_processors.resolve.consequences import Change, follow_up
from calstream_processors.resolve.refold import FieldChange, refold
from calstream_processors.resolve.rehearsal import rehearse
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.rulebook import CONSEQUENCES
from calstream_processors.resolve.versions import cause_of
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.lead_rules import Assignee, LeadRules, Operator, ScoringRule
from calstream_schemas.observations import Observation, rules_changed
from calstream_schemas.rule_sets import RuleSet

SCORING = (ScoringRule("team_size", Operator.AT_LEAST, 50, 30),)


def _people() -> Truth:
    """Two people with answers, of whom one is in the CRM too, and one without."""
    scene, truth = calendar(), Truth()
    for name, answers in (("a", {"team_size": "60"}), ("b", {"team_size": "6"}), ("c", {})):
        person = scene.add_attendee(f"{name}@example.com", name)
        truth.receive(scene.book(booking(answers=answers), person)[1])
    said = {"name": {"full_name": "Anna"}, "lead_source": {"lead_source": "Fair"}}
    id_ = truth.of("contact")[0].id
    truth.observe(crm_says(NaturalId("hubspot", "contact", "1"), "contact", NOON, said, about=id_))
    return truth


def _plan(truth: Truth, rules: RuleSet) -> list[FieldChange]:
    changed = rules_changed("acme", rules, "plan", 9)
    return rehearse(list(truth.state.entities.values()), truth.rules, changed).fields


def _apply(truth: Truth, rules: RuleSet) -> None:
    """As the resolver's stage does."""
    observation = rules_changed("acme", rules, "apply", 9)
    state = truth.state

    def take(made: list[Entity]) -> list[Change]:
        return [Change(state.put(entity), entity, observation) for entity in made]

    made = list(refold(state, list(state.entities.values()), rules, cause_of(observation)))
    truth.rules = rules

    def apply(drawn: Observation) -> list[Change]:
        return take(list(resolve(state, drawn, rules)))

    follow_up(state, take(made), rules, CONSEQUENCES, apply)
    for drawn in restate(state, truth.of("contact"), rules, observation):
        apply(drawn)


def _values(changes: list[FieldChange]) -> dict[str, list[tuple[object, object]]]:
    found: dict[str, list[tuple[object, object]]] = {}
    for change in changes:
        if change.old != change.new:
            found.setdefault(change.field, []).append((change.old, change.new))
    return {name: sorted(pairs, key=str) for name, pairs in found.items()}


def test_the_rules_in_force_change_nothing() -> None:
    truth = _people()
    assert _plan(truth, truth.rules) == []


def test_a_scoring_table_gives_everybody_who_answered_a_score_and_tells_nobody() -> None:
    truth = _people()
    rules = rules_with(LeadRules(scoring=SCORING, threshold=10, assignees=(Assignee("7"),)))
    plan = _plan(truth, rules)
    assert _values(plan) == {"lead_score": [(None, 0), (None, 30)]}
    assert {(c.after.id.system, c.after.rule) for c in plan if c.after} == {("rules", "owner")}
    _apply(truth, rules)
    assert [each.values.get("lead_score") for each in truth.of("contact")] == [30, 0, None]
    assert truth.of("message") == []
    assert all("owner_id" not in each.values for each in truth.of("contact"))
    assert _plan(truth, rules) == []


def test_without_its_table_the_score_is_empty_again() -> None:
    truth = _people()
    _apply(truth, rules_with(LeadRules(scoring=SCORING)))
    plan = _plan(truth, rules_with(LeadRules()))
    assert _values(plan) == {"lead_score": [(0, None), (30, None)]}


def test_another_source_is_said_of_everybody_whose_source_the_rules_decide() -> None:
    truth = _people()
    assert [each.values["lead_source"] for each in truth.of("contact")] == ["calendar.live"] * 3
    plan = _plan(truth, rules_with(LeadRules(source="web")))
    assert _values(plan) == {"lead_source": [("calendar.live", "web")] * 3}
    owners = {**truth.rules.owners, ("contact", "lead_source"): "crm"}
    plan = _plan(truth, replace(truth.rules, owners=owners, leads=LeadRules(source="web")))
    assert _values(plan) == {
        "lead_source": [
            ("calendar.live", "Fair"),
            ("calendar.live", "web"),
            ("calendar.live", "web"),
        ]
    }


def test_the_plan_is_what_applying_does() -> None:
    truth = _people()
    rules = rules_with(LeadRules("web", SCORING))
    plan = _plan(truth, rules)
    before = dict(truth.state.entities)
    _apply(truth, rules)
    changed = {
        (key, field): entity.values.get(field)
        for key, entity in truth.state.entities.items()
        for field in entity.values
        if before[key].values.get(field) != entity.values[field]
    }
    assert changed == {(c.key, c.field): c.new for c in plan if c.old != c.new}
    assert len(changed) == 5
