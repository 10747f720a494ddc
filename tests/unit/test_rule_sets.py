"""Rule sets: from the settings to a value, and what another one does to the truth."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_resolve_convergence import History, histories

from calstream_core.errors import Code, ConfigError, RecordError
from calstream_core.sealing import KeyStore
from calstream_core.settings import Pattern, RuleSettings, WorkspaceSettings
from calstream_processors.resolve.copies import apply
from calstream_processors.resolve.fold import fold
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM, PATTERNS
from calstream_processors.resolve.refold import field_changes, refold
from calstream_processors.resolve.rehearsal import rehearse
from calstream_processors.resolve.rule_settings import rule_set_of
from calstream_processors.resolve.state import Workspace
from calstream_processors.resolve.versions import with_copies
from calstream_schemas.codec import Poison
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
from calstream_schemas.lead_rules import Assignee, LeadRules, Operator, ScoringRule
from calstream_schemas.observations import (
    Fact,
    decode_observation,
    encode_observation,
    rules_changed,
)
from calstream_schemas.resolver_state import rules_key, workspace_of_rules
from calstream_schemas.rule_sets import NEWEST, ROLES, RuleSet

owner = st.sampled_from([*ROLES, NEWEST])
operands = st.one_of(
    st.none(), st.text(max_size=3), st.integers(2, 5), st.tuples(st.text(max_size=3))
)
lead_rules = st.builds(
    LeadRules,
    source=st.sampled_from(["", "calendar.live"]),
    scoring=st.lists(
        st.builds(
            ScoringRule,
            st.sampled_from(["size", "when"]),
            st.sampled_from(Operator),
            operands,
            st.integers(-5, 5),
        ),
        max_size=3,
    ).map(tuple),
    threshold=st.none() | st.integers(0, 5),
    assignees=st.lists(st.builds(Assignee, st.text(max_size=2), st.integers(1, 3)), max_size=2).map(
        tuple
    ),
)
rule_sets = st.builds(
    lambda pattern, owners, precedence, window, leads: dataclasses.replace(
        PATTERNS[pattern],
        owners={**PATTERNS[pattern].owners, **owners},
        precedence=tuple(precedence),
        conflict_window_seconds=window,
        leads=leads,
    ),
    st.sampled_from(Pattern),
    st.dictionaries(st.sampled_from(sorted(CALENDAR_TO_CRM.owners)), owner, max_size=6),
    st.permutations([*ROLES, "hubspot"]),
    st.integers(0, 1000),
    lead_rules,
)
CAUSE = Cause("o9", 9, 9)
ATTENDEE = NaturalId("calendar_live", "attendee", "att_1")
CRM_CONTACT = NaturalId("hubspot", "contact", "1")


def _scoring(**row: object) -> dict[str, dict[str, object]]:
    return {"scoring": {"table": [{"field": "size", "points": 5, **row}]}}


def _workspace(**rules: object) -> WorkspaceSettings:
    return WorkspaceSettings(pattern=Pattern.TWO_WAY, rules=RuleSettings.model_validate(rules))


def test_settings_that_change_nothing_give_the_pattern() -> None:
    for pattern in Pattern:
        assert rule_set_of("acme", WorkspaceSettings(pattern=pattern)) == PATTERNS[pattern]


def test_a_workspace_changes_single_groups_and_the_precedence() -> None:
    found = rule_set_of(
        "acme", _workspace(owners={"contact.name": "calendar"}, precedence=["payments"])
    )
    assert found.owner("contact", "name") == "calendar"
    assert found.owner("contact", "email") is None
    assert found.precedence == ("payments", "calendar", "crm", "meetings", "rules")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"owners": {"contct.name": "crm"}}, "no kind 'contct'; did you mean contact?"),
        ({"owners": {"contact.nane": "crm"}}, "contact has no group 'nane'; did you mean name?"),
        ({"owners": {"booking.start_at": "crm"}}, "the field is in the group schedule"),
        ({"owners": {"contact.name": "crn"}}, "no role 'crn'; did you mean crm?"),
        ({"owners": {"contact": "crm"}}, "contact has no group ''"),
        (
            {"precedence": ["boss"]},
            "precedence: there is no role or system 'boss'; there are calendar,",
        ),
        ({"precedence": ["crm", "crm"]}, "precedence: crm stands twice"),
        ({"precedence": ["hubspt"]}, "no role or system 'hubspt'; did you mean hubspot?"),
        (_scoring(operator="at_lest", value=1), "no operator 'at_lest'; did you mean at_least?"),
        (_scoring(operator="one_of", value="x"), "scoring.table[0] (size): one_of needs a list"),
        (_scoring(operator="one_of", value=[]), "one_of needs a list"),
        (_scoring(operator="at_least", value="x"), "at_least needs a number"),
        (_scoring(operator="at_most", value=True), "at_most needs a number"),
        (_scoring(operator="contains", value=""), "contains needs a text"),
        (_scoring(operator="answered", value="x"), "answered takes no value"),
        (_scoring(), "is needs one value"),
        (_scoring(value=["a"]), "is needs one value; one_of takes several"),
        (
            {"scoring": {"threshold": 1}},
            "scoring.threshold: the table gives 0 points at most",
        ),
        (
            {"scoring": _scoring(value="x")["scoring"] | {"threshold": 6}},
            "scoring.threshold: the table gives 5 points at most",
        ),
        (
            {"assignment": {"people": [{"owner_id": "7"}, {"owner_id": "7"}]}},
            "assignment.people: 7 stands twice; give it a weight",
        ),
    ],
)
def test_what_there_is_not_is_named_with_the_closest(rules: object, message: str) -> None:
    assert isinstance(rules, dict)
    with pytest.raises(ConfigError) as caught:
        rule_set_of("acme", _workspace(**rules), ["hubspot"])
    assert caught.value.code is Code.CONFIG_INVALID
    assert message in caught.value.message
    assert "workspaces.acme.rules." in caught.value.message


def test_the_rules_for_leads_are_taken_from_the_settings() -> None:
    asked = _workspace(
        lead_source=" web ",
        scoring={
            "table": [
                {"field": "size", "operator": "one_of", "value": ["a", "b"], "points": 5},
                {"field": "seats", "operator": "at_least", "value": 2.5, "points": -1},
            ],
            "threshold": 4,
        },
        assignment={"people": [{"owner_id": "7", "weight": 2}, {"owner_id": "8"}]},
    )
    assert rule_set_of("acme", asked).leads == LeadRules(
        "web",
        (
            ScoringRule("size", Operator.ONE_OF, ("a", "b"), 5),
            ScoringRule("seats", Operator.AT_LEAST, 2.5, -1),
        ),
        4,
        (Assignee("7", 2), Assignee("8")),
    )


def test_a_system_may_stand_before_others_of_its_role() -> None:
    rules = rule_set_of("acme", _workspace(precedence=["salesforce", "calendar"]), ["salesforce"])
    ranked = [("calendar_live", "calendar"), ("hubspot", "crm"), ("salesforce", "crm")]
    assert sorted(ranked, key=lambda each: rules.place(*each)) == [
        ("salesforce", "crm"),
        ("calendar_live", "calendar"),
        ("hubspot", "crm"),
    ]
    said = {
        id_: Copy(
            id_, role, {"name": Register({"full_name": name}, (Stamp(-1, 5, by_self=False),))}
        )
        for id_, role, name in (
            (ATTENDEE, "calendar", "Jo"),
            (CRM_CONTACT, "crm", "Joanna"),
            (NaturalId("salesforce", "contact", "9"), "crm", "J."),
        )
    }
    values, decisions = fold(KINDS["contact"], said.values(), rules)
    assert (values["full_name"], decisions["name"].rule) == ("J.", "newest")


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        rule_set_of("acme", _workspace(owners={"a.b": "crm", "contact.name": "c"}))
    assert caught.value.message.count("workspaces.acme.rules.owners") == 2


@given(rule_sets)
def test_a_rule_set_is_read_back_as_it_was_and_keeps_its_id(rules: RuleSet) -> None:
    again = RuleSet.decode(rules.encode())
    assert again == rules
    assert again.id == rules.id


@given(rule_sets, rule_sets)
def test_rule_sets_have_the_same_id_exactly_when_they_are_equal(
    one: RuleSet, other: RuleSet
) -> None:
    assert (one.id == other.id) == (one == other)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"owners": 5}', b'{"owners": []}'])
def test_what_is_no_rule_set_has_a_code(raw: bytes) -> None:
    with pytest.raises(RecordError) as caught:
        RuleSet.decode(raw)
    assert caught.value.code is Code.RECORD_UNREADABLE


@settings(max_examples=30, deadline=None)
@given(rules=rule_sets)
def test_other_rules_are_an_observation(
    rules: RuleSet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keys = KeyStore(tmp_path_factory.mktemp("keys"))
    observation = rules_changed("acme", rules, "apply/1", 7)
    assert decode_observation(encode_observation(observation, None), keys.sealer) == observation


def test_going_back_to_earlier_rules_is_no_repeat() -> None:
    first, again = (rules_changed("acme", CALENDAR_TO_CRM, f"apply/{n}", n) for n in (1, 2))
    assert first.id != again.id


def test_a_rule_set_in_another_kind_of_observation_is_poison(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path)
    wrong = dataclasses.replace(rules_changed("acme", CALENDAR_TO_CRM, "e", 1), fact=Fact.STATE)
    assert isinstance(decode_observation(encode_observation(wrong, None), keys.sealer), Poison)


def test_the_key_of_a_rule_set_is_no_observation_s() -> None:
    assert workspace_of_rules(rules_key("acme")) == "acme"
    assert workspace_of_rules(b"acme/0123abcd") is None


def _contact() -> Entity:
    """A person whom calendar.live and the CRM call by other names, by the default rules."""
    copies = {
        id_: Copy(
            id_, role, {"name": Register({"full_name": name}, (Stamp(-1, at, by_self=False),))}
        )
        for id_, role, name, at in (
            (ATTENDEE, "calendar", "Jo", 5),
            (CRM_CONTACT, "crm", "Joanna", 3),
        )
    }
    id_, cause = entity_id("acme", "contact", ATTENDEE), Cause("o1", 1, 1)
    empty = Entity("acme", "contact", id_, 1, 1, cause)
    return with_copies(Workspace(), empty, copies, cause, CALENDAR_TO_CRM)


def test_other_rules_make_a_version_where_the_truth_changes() -> None:
    contact = _contact()
    assert contact.values["full_name"] == "Joanna"
    (after,) = refold(Workspace(), [contact], PATTERNS[Pattern.TWO_WAY], CAUSE)
    assert (after.values["full_name"], after.version, after.cause) == ("Jo", 3, CAUSE)
    assert after.decisions["name"].rule == "newest"
    assert after.copies == contact.copies


def test_the_same_rules_make_no_version() -> None:
    assert list(refold(Workspace(), [_contact()], CALENDAR_TO_CRM, CAUSE)) == []


def test_a_plan_tells_each_field_with_its_old_and_new_value_and_decider() -> None:
    changed = rules_changed("acme", PATTERNS[Pattern.TWO_WAY], "plan", 9)
    plan = rehearse([_contact()], CALENDAR_TO_CRM, changed).fields
    (change,) = [each for each in plan if each.group == "name"]
    assert (change.field, change.old, change.new) == ("full_name", "Joanna", "Jo")
    assert change.before is not None
    assert change.after is not None
    assert (change.before.id, change.before.rule) == (CRM_CONTACT, "owner")
    assert (change.after.id, change.after.rule) == (ATTENDEE, "newest")


def _entity(history: History, rules: RuleSet) -> Entity:
    kind = history[0]
    copies: dict[NaturalId, Copy] = {}
    for observation in history[1]:
        copies = dict(apply(copies, observation))
    id_ = entity_id("acme", kind.name, ATTENDEE)
    empty = Entity("acme", kind.name, id_, 0, 1, CAUSE)
    return with_copies(Workspace(), empty, copies, CAUSE, rules)


@settings(max_examples=300, deadline=None)
@given(histories(), rule_sets, rule_sets)
def test_a_refold_gives_what_the_new_rules_alone_would_have_given(
    history: History, old: RuleSet, new: RuleSet
) -> None:
    before, expected = _entity(history, old), _entity(history, new)
    after = [*refold(Workspace(), [before], new, CAUSE), before][0]
    assert (after.values, after.decisions) == (expected.values, expected.decisions)
    assert (after is before) == (not field_changes(before, after))
