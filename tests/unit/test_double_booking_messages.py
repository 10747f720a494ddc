"""What ops and arbiters are told of double bookings: once, in time, and not when it is over."""

from dataclasses import replace

import orjson
import pytest
from tests.unit.overlap_scene import (
    HOUR,
    MINUTE,
    NINE,
    SAID_AT,
    Scene,
    booked,
    cancelled,
    event,
    heard,
    rules,
)

from calstream_processors.resolve.double_booking_messages import MOST_TOLD
from calstream_schemas.double_booking_rules import Buffer, Policy
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.observations import Observation, rules_changed
from calstream_schemas.rule_sets import RULES

ONE, TWO, THREE = event("cal_1"), event("cal_2"), event("cal_3")


def _two() -> Scene:
    return heard([booked(ONE, NINE, 30), booked(TWO, NINE, 30, version=1)])


def _by_audience(scene: Scene) -> dict[object, Entity]:
    messages = list(scene.messages().values())
    found: dict[object, Entity] = {each.values["audience"]: each for each in messages}
    assert len(found) == len(messages)
    return found


def _content(message: Entity) -> dict[str, object]:
    content = message.values["content"]
    assert isinstance(content, str)
    found = orjson.loads(content)
    assert isinstance(found, dict)
    return found


def test_ops_and_the_arbiter_s_endpoint_get_a_message_each() -> None:
    found = _by_audience(_two())
    assert found.keys() == {"ops", "endpoint"}
    assert found["ops"].values["message_kind"] == "conflict"
    assert found["endpoint"].values["message_kind"] == "arbitration"
    for message in found.values():
        assert message.values["status"] == "due"
        assert message.values["not_after"] == NINE + 30 * MINUTE
        assert message.values["booking_ref"] == str(TWO)  # the one that came later
        assert {copy.role for copy in message.copies.values()} == {RULES}


def test_the_webhook_is_whole_and_says_who_keeps_the_slot() -> None:
    scene = Scene(rules(policy=Policy.FIRST_WINS))
    scene.hear(booked(ONE, NINE, 30), booked(TWO, NINE, 30, version=1))
    webhook = _content(_by_audience(scene)["endpoint"])
    assert webhook.keys() == {"type", "timestamp", "data"}
    assert (webhook["type"], webhook["timestamp"]) == (
        "booking.double_booked",
        "2026-11-25T09:01:00.000Z",
    )
    data = webhook["data"]
    assert isinstance(data, dict)
    (told,) = data["double_bookings"]
    first = scene.told[0].sides[scene.told[0].keeper or 0]
    assert (told["keeps"], told["rule"]) == (first.key.id, "booked_first")
    assert (told["id"], told["host_id"]) == (scene.told[0].id, "usr_1")
    assert (told["start"], told["end"]) == ("2026-11-27T09:00:00.000Z", "2026-11-27T09:30:00.000Z")
    assert {each["object"] for each in told["bookings"]} == {str(ONE), str(TWO)}
    assert _content(_by_audience(scene)["ops"]) == data


def test_the_same_log_gives_the_same_messages() -> None:
    def ids(scene: Scene) -> list[tuple[str, int]]:
        return sorted((each.id, each.version) for each in scene.messages().values())

    assert ids(_two()) == ids(_two()) != []


@pytest.mark.parametrize(
    "again",
    [replace(booked(ONE, NINE, 30), id="again"), booked(TWO, NINE + MINUTE, 30, version=2)],
    ids=["a_repeat", "a_move_that_still_overlaps"],
)
def test_what_opens_nothing_tells_nobody_again(again: Observation) -> None:
    scene = _two()
    scene.hear(again)
    assert len(scene.messages()) == 2


def test_one_that_lies_over_many_makes_one_message_of_each_kind() -> None:
    many = [booked(event(f"m{n}"), NINE + n * HOUR, 30) for n in range(MOST_TOLD + 5)]
    scene = heard([*many, booked(event("week"), NINE, 7 * 24 * 60, version=1)])
    data = _content(_by_audience(scene)["ops"])
    assert data["count"] == MOST_TOLD + 5
    assert isinstance(data["double_bookings"], list)
    assert len(data["double_bookings"]) == MOST_TOLD


def test_a_message_is_withdrawn_when_nothing_of_it_stands_any_more() -> None:
    scene = heard([booked(ONE, NINE, 30), booked(TWO, NINE + HOUR, 30)])
    scene.hear(booked(THREE, NINE, 120, version=1))
    scene.hear(cancelled(ONE, 2))
    assert {each.values["status"] for each in scene.messages().values()} == {"due"}
    scene.hear(cancelled(TWO, 3))
    assert {each.values["status"] for each in scene.messages().values()} == {"withdrawn"}


def test_it_is_withdrawn_also_where_what_ends_it_came_in_with_an_older_time() -> None:
    scene = heard([booked(ONE, NINE, 30), booked(TWO, NINE, 30, version=9)])
    scene.hear(cancelled(ONE, 1))
    assert {each.values["status"] for each in scene.messages().values()} == {"withdrawn"}


def test_a_double_booking_that_comes_back_is_told_anew() -> None:
    scene = _two()
    scene.hear(booked(TWO, NINE + HOUR, 30, version=2), booked(TWO, NINE, 30, version=3))
    statuses = sorted(str(each.values["status"]) for each in scene.messages().values())
    assert statuses == ["due", "due", "withdrawn", "withdrawn"]


def test_nobody_is_told_of_what_is_past() -> None:
    scene = heard([booked(id_, SAID_AT - HOUR, 30) for id_ in (ONE, TWO)])
    assert len(scene.open()) == 1
    assert scene.messages() == {}


def test_nobody_is_told_of_what_only_other_rules_make_of_it_but_messages_are_withdrawn() -> None:
    scene = heard([booked(ONE, NINE, 30), booked(TWO, NINE + 35 * MINUTE, 30)])
    buffers = rules(hosts={"usr_1": Buffer(after_minutes=10)})
    scene.rules = buffers
    scene.hear(rules_changed("acme", scene.rules, "apply/1", SAID_AT + MINUTE))
    assert len(scene.open()) == 1
    assert scene.messages() == {}
    scene.hear(booked(THREE, NINE + 70 * MINUTE, 30, version=2))
    assert {each.values["status"] for each in scene.messages().values()} == {"due"}
    scene.rules = rules()
    scene.hear(rules_changed("acme", scene.rules, "apply/2", SAID_AT + 3 * MINUTE))
    assert scene.open() == {}
    assert {each.values["status"] for each in scene.messages().values()} == {"withdrawn"}


def test_a_message_about_what_a_crm_made_names_its_booking() -> None:
    made = replace(
        booked(NaturalId("salesforce", "event", "00U1"), NINE, 30, version=5), role="crm"
    )
    scene = heard([booked(ONE, NINE, 30), made])
    assert _by_audience(scene)["ops"].values["booking_ref"] == "salesforce/event/00U1"
