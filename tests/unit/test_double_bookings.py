"""Double bookings: what is one, who keeps the slot, and what ends it."""

from dataclasses import replace

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
    hold,
    rules,
    say,
)

from calstream_schemas.double_booking_rules import Buffer, Policy
from calstream_schemas.double_bookings import (
    DoubleBooking,
    Side,
    SlotKey,
    decode_double_booking,
    encode_double_booking,
)
from calstream_schemas.observations import Fact

ONE, TWO = event("cal_1"), event("cal_2")
ALERT = rules()


def _two(minutes_apart: int, **of_second: object) -> Scene:
    other = booked(TWO, NINE + minutes_apart * MINUTE, 30, **of_second)  # type: ignore[arg-type]  # by name
    return heard([booked(ONE, NINE, 30), other])


def test_two_bookings_that_share_a_moment_of_one_host_are_a_double_booking() -> None:
    (found,) = _two(20).told
    assert (found.state, found.host) == ("open", "usr_1")
    assert (found.start, found.end) == (NINE + 20 * MINUTE, NINE + 30 * MINUTE)
    assert {side.object for side in found.sides} == {str(ONE), str(TWO)}
    assert (found.policy, found.keeper, found.rule) == ("alert", None, None)
    assert found.key == f"acme/double-booking/{found.id}"


@pytest.mark.parametrize("apart", [30, -30, 31])
def test_back_to_back_is_no_overlap(apart: int) -> None:
    assert _two(apart).told == []


def test_hosts_have_their_own_time() -> None:
    assert _two(0, host="usr_2").told == []


@pytest.mark.parametrize("status", ["held", "tentative", "confirmed"])
def test_what_is_held_or_tentative_takes_time_too(status: str) -> None:
    assert len(_two(0, status=status).told) == 1


@pytest.mark.parametrize("status", ["cancelled", "completed", "no_show"])
def test_what_is_over_takes_none(status: str) -> None:
    assert _two(0, status=status).told == []


@pytest.mark.parametrize("status", ["cancelled", "completed", "no_show"])
def test_it_is_cleared_when_one_ends_and_says_why(status: str) -> None:
    scene = _two(0)
    (ended,) = scene.hear(say(TWO, 1, {"status": {"status": status}}))
    assert (ended.state, ended.ended_by) == ("cleared", status)
    assert ended.id == scene.told[0].id
    assert ended.opened_by == scene.told[0].opened_by != ended.observation_id
    assert scene.open() == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [({"start": NINE + HOUR}, "moved"), ({"host": "usr_2"}, "other_host")],
)
def test_it_is_cleared_when_one_moves_or_goes_to_another_host(
    change: dict[str, object], why: str
) -> None:
    given = {"start": NINE, "minutes": 30, "version": 1, **change}
    (ended,) = _two(0).hear(booked(TWO, **given))  # type: ignore[arg-type]  # by name
    assert (ended.state, ended.ended_by) == ("cleared", why)


def test_it_is_cleared_when_its_object_is_gone() -> None:
    (ended,) = _two(0).hear(say(TWO, 1, {}, fact=Fact.GONE))
    assert (ended.state, ended.ended_by) == ("cleared", "gone")


def test_it_is_written_again_when_the_time_that_both_take_changes() -> None:
    scene = _two(20)
    (changed,) = scene.hear(booked(TWO, NINE + 10 * MINUTE, 30, version=1))
    assert (changed.start, changed.state) == (NINE + 10 * MINUTE, "open")
    assert changed.opened_by == scene.told[0].opened_by
    assert scene.hear(say(TWO, 2, {"title": {"title": "Other"}})) == []


def test_the_webhooks_of_a_group_event_are_one_booking() -> None:
    again = replace(booked(ONE, NINE, 30, event_kind="group"), id="the second attendee's")
    assert heard([booked(ONE, NINE, 30, event_kind="group"), again]).told == []


def test_a_hold_that_became_its_event_is_one_booking() -> None:
    held = booked(hold("hold_1"), NINE, 30, status="held")
    became = booked(ONE, NINE, 30, same_as=hold("hold_1"), version=1)
    over = say(hold("hold_1"), 1, {}, fact=Fact.GONE, same_as=ONE)
    for order in ([held, became, over], [became, over, held], [over, held, became]):
        scene = heard(order)
        assert scene.told == []
        (found,) = scene.hear(booked(TWO, NINE, 30))
        assert {side.slot.status for side in found.sides} == {"confirmed"}


def test_a_hold_that_is_released_frees_the_slot() -> None:
    released = say(hold("hold_1"), 1, {"status": {"status": "cancelled"}}, fact=Fact.GONE)
    scene = heard([booked(hold("hold_1"), NINE, 30, status="held"), booked(ONE, NINE, 30)])
    assert len(scene.open()) == 1
    (ended,) = scene.hear(released)
    assert (ended.state, ended.ended_by) == ("cleared", "cancelled")


def test_a_hold_of_which_the_event_was_heard_first_ends_when_it_names_its_event() -> None:
    held = booked(hold("hold_1"), NINE, 30, status="held")
    scene = heard([held, booked(ONE, NINE, 30, version=1)])
    assert len(scene.open()) == 1  # nothing says so far that the two are one
    scene.hear(say(hold("hold_1"), 2, {}, fact=Fact.GONE, same_as=ONE))
    assert scene.open() == {}


def test_what_takes_no_time_overlaps_nothing() -> None:
    assert heard([booked(ONE, NINE, 30), booked(TWO, NINE + 10 * MINUTE, 0)]).told == []


def test_a_long_booking_overlaps_each_of_those_in_it() -> None:
    meetings = [booked(event(f"cal_{n}"), NINE + n * HOUR, 30) for n in range(1, 9)]
    scene = heard([*meetings, booked(event("days"), NINE, 24 * 60)])
    assert len(scene.open()) == 8
    scene.hear(cancelled(event("days"), 1))
    assert scene.open() == {}


BUFFERS = rules(
    event_types={"trial": Buffer(before_minutes=5, after_minutes=10)},
    hosts={"usr_2": Buffer(after_minutes=20)},
)


@pytest.mark.parametrize(
    ("gap", "host", "event_type", "count"),
    [
        (9, "usr_1", "trial", 1),
        (15, "usr_1", "trial", 0),  # ten minutes after the first and five before the second
        (14, "usr_1", "trial", 1),
        (0, "usr_1", "other", 0),
        (19, "usr_2", "other", 1),
        (20, "usr_2", "other", 0),
        (24, "usr_2", "trial", 1),  # the longer of the type's and the host's, and then five before
        (25, "usr_2", "trial", 0),
    ],
)
def test_buffers_take_time_too(gap: int, host: str, event_type: str, count: int) -> None:
    second = NINE + (30 + gap) * MINUTE
    scene = heard(
        [
            booked(id_, at, 30, host=host, event_type=event_type)
            for id_, at in ((ONE, NINE), (TWO, second))
        ],
        BUFFERS,
    )
    assert len(scene.told) == count
    for found in scene.told:
        assert found.sides[0].slot.end - found.sides[0].slot.start == 30 * MINUTE
        assert found.start < found.end


def _kept(found: DoubleBooking) -> str:
    assert found.keeper is not None
    return found.sides[found.keeper].object


def test_first_wins_by_the_source_s_time_whatever_came_first_and_changed_since() -> None:
    first, second = booked(ONE, NINE, 30, version=3), booked(TWO, NINE, 30, version=4)
    moved = booked(ONE, NINE + MINUTE, 30, version=9)
    for order in ([first, second, moved], [second, moved, first], [moved, second, first]):
        (found,) = heard(order, rules(policy=Policy.FIRST_WINS)).open().values()
        assert (_kept(found), found.rule) == (str(ONE), "booked_first")
        assert {side.slot.booked_at for side in found.sides} == {
            SAID_AT + 3 * MINUTE,
            SAID_AT + 4 * MINUTE,
        }


def test_of_two_that_were_booked_at_once_always_the_same_keeps_the_slot() -> None:
    one, two = booked(ONE, NINE, 30), booked(TWO, NINE, 30)
    for order in ([one, two], [two, one]):
        (found,) = heard(order, rules(policy=Policy.FIRST_WINS)).told
        assert _kept(found) == str(ONE)


@pytest.mark.parametrize(
    ("priority", "keeps", "rule"),
    [
        (("event_type=board",), TWO, "priority"),
        (("event_type=trial", "event_type=board"), ONE, "priority"),
        (("event_kind=webinar", "event_type=trial"), TWO, "priority"),
        (("status=confirmed", "event_type=board"), ONE, "priority"),
        (("event_type=other",), ONE, "booked_first"),
    ],
)
def test_the_priority_names_who_keeps_the_slot(
    priority: tuple[str, ...], keeps: object, rule: str
) -> None:
    one = booked(ONE, NINE, 30, event_type="trial", version=1)
    two = booked(
        TWO, NINE, 30, event_type="board", event_kind="webinar", status="tentative", version=2
    )
    (found,) = heard([one, two], rules(policy=Policy.PRIORITY, priority=priority)).told
    assert (_kept(found), found.rule) == (str(keeps), rule)


def test_other_rules_open_change_and_clear_what_stands() -> None:
    scene = heard([booked(ONE, NINE, 30, event_type="trial"), booked(TWO, NINE + 35 * MINUTE, 30)])
    assert scene.told == []
    scene.rules = BUFFERS
    (opened,) = scene.hear(say(ONE, 1, {"title": {"title": "New"}}))
    assert (opened.state, opened.policy) == ("open", "alert")
    scene.rules = replace(
        scene.rules, double_booking=replace(scene.rules.double_booking, policy=Policy.FIRST_WINS)
    )
    (changed,) = scene.hear(say(ONE, 2, {"title": {"title": "Newer"}}))
    assert (changed.state, changed.policy, changed.rule) == ("open", "first_wins", "booked_first")
    scene.rules = ALERT
    (ended,) = scene.hear(say(ONE, 3, {"title": {"title": "Newest"}}))
    assert (ended.state, ended.ended_by) == ("cleared", "rules")


def test_a_double_booking_is_read_back_as_it_was() -> None:
    scene = _two(20, event_type="trial", event_kind="group")
    scene.hear(cancelled(TWO, 1))
    for found in scene.told:
        assert decode_double_booking(encode_double_booking(found)) == found


def test_a_restart_knows_what_stood_and_whose_time_is_taken() -> None:
    scene = _two(20)
    (stood,) = scene.told
    scene.restart()
    assert scene.workspace.double_bookings.of(stood.sides[0].key) == (stood,)
    (ended,) = scene.hear(cancelled(TWO, 1))
    assert (ended.state, ended.opened_by) == ("cleared", stood.opened_by)
    (found,) = scene.hear(booked(event("cal_3"), NINE, 30))
    assert str(ONE) in {side.object for side in found.sides}


def test_each_side_names_the_other() -> None:
    (found,) = _two(0).told
    one, other = (side.key for side in found.sides)
    assert (found.other(one), found.other(other)) == (other, one)
    assert str(SlotKey("series", "s", "20261127T090000")) == "series/s/20261127T090000"
    assert isinstance(found.sides[0], Side)
