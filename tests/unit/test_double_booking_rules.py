"""The rules for double bookings: from the settings to a value, and what others would change."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.overlap_scene import MINUTE, NINE, booked, event, heard, rules

from calstream_core.errors import ConfigError, RecordError
from calstream_core.settings import RuleSettings, WorkspaceSettings
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.rehearsal import rehearse
from calstream_processors.resolve.rule_settings import rule_set_of
from calstream_schemas.double_booking_rules import Buffer, DoubleBookingRules, Policy
from calstream_schemas.observations import rules_changed
from calstream_schemas.rule_sets import RuleSet

minutes = st.integers(0, 24 * 60)
buffers = st.dictionaries(st.text(max_size=5), st.builds(Buffer, minutes, minutes))
asked = st.builds(
    DoubleBookingRules,
    policy=st.sampled_from(Policy),
    priority=st.lists(
        st.sampled_from(["event_type=a=b", "status=held", "event_kind=group"]), unique=True
    ).map(tuple),
    event_types=buffers,
    hosts=buffers,
    horizon_days=st.integers(0, 366),
)


def _asked(**double_booking: Any) -> RuleSet:
    settings = RuleSettings.model_validate({"double_booking": double_booking})
    return rule_set_of("acme", WorkspaceSettings(rules=settings))


@given(asked)
def test_they_are_read_back_as_they_were(of: DoubleBookingRules) -> None:
    rule_set = replace(CALENDAR_TO_CRM, double_booking=of)
    assert RuleSet.decode(rule_set.encode()) == rule_set


def test_settings_ask_for_a_policy_and_buffers() -> None:
    found = _asked(
        policy="priority",
        priority=["event_type=board", "event_kind=webinar"],
        event_types={"trial-30": {"after_minutes": 10}},
        hosts={"usr_12": {"before_minutes": 5}},
        horizon_days=30,
    ).double_booking
    assert found == DoubleBookingRules(
        Policy.PRIORITY,
        ("event_type=board", "event_kind=webinar"),
        {"trial-30": Buffer(0, 10)},
        {"usr_12": Buffer(5, 0)},
        30,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"priority": ["board"]}, "must be FIELD=VALUE; FIELD is one of event_type,"),
        ({"priority": ["host=usr_1"]}, "must be FIELD=VALUE"),
        ({"priority": ["event_type="]}, "must be FIELD=VALUE"),
        ({"priority": ["event_kind=webinr"]}, "no event_kind 'webinr'; did you mean webinar?"),
        ({"priority": ["status=cancelled"]}, "no status 'cancelled'"),
        ({"priority": ["status=held", "status=held"]}, "status=held stands twice"),
        ({"policy": "priority"}, "the policy needs at least one line"),
    ],
)
def test_what_can_t_be_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _asked(**settings)
    assert message in caught.value.message
    assert "workspaces.acme.rules.double_booking.priority" in caught.value.message


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"alert"', b'"other"'), (b'"priority":[]', b'"priority":["x=y"]'), (b'"hosts"', b'"h"')],
)
def test_a_rule_set_that_says_what_can_t_be_has_a_code(old: bytes, new: bytes) -> None:
    raw = rules().encode()
    assert old in raw
    with pytest.raises(RecordError):
        RuleSet.decode(raw.replace(old, new))


def test_a_plan_tells_which_double_bookings_would_open_change_and_be_cleared() -> None:
    scene = heard(
        [
            booked(event("cal_1"), NINE, 30),
            booked(event("cal_2"), NINE + 35 * MINUTE, 30, version=1),
            booked(event("cal_3"), NINE + 60 * MINUTE, 30, version=2),
        ]
    )
    entities = scene.bookings()
    then = rules(policy=Policy.FIRST_WINS, hosts={"usr_1": Buffer(after_minutes=10)})
    would = rehearse(entities, rules(), rules_changed("acme", then, "plan", NINE))
    assert would.fields == []
    opened, changed = would.double_bookings
    assert (opened.state, opened.start) == ("open", NINE + 35 * MINUTE)
    assert (changed.state, changed.rule) == ("open", "booked_first")
    (back,) = [
        each
        for each in rehearse(
            entities, then, rules_changed("acme", rules(), "plan", NINE)
        ).double_bookings
        if each.state == "cleared"
    ]
    assert (back.id, back.ended_by) == (opened.id, "rules")
    assert rehearse(entities, then, rules_changed("acme", then, "plan", NINE)).double_bookings == []
