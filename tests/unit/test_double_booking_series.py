"""Occurrences of series that are no bookings yet take their host's time too."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.overlap_scene import (
    HOUR,
    MINUTE,
    NINE,
    SAID_AT,
    Scene,
    bare,
    booked,
    cancelled,
    event,
    heard,
    recurring,
    rules,
    say,
    series,
)

from calstream_core.clock import from_microseconds
from calstream_processors.resolve.series_times import Member, Series
from calstream_schemas.double_booking_rules import Policy
from calstream_schemas.double_bookings import DoubleBooking, SlotKey
from calstream_schemas.entities.slot import SeriesRule, Slot
from calstream_schemas.observations import Fact, Observation

DAY = 24 * HOUR
WEEKLY = series("weekly")
FIRST = event("first")


def _id(day: int) -> str:
    moment = from_microseconds(NINE) + timedelta(days=day)
    return f"{moment:%Y%m%dT%H%M%S}"


def _occurrence(
    day: int, *, at: int | None = None, version: int = 0, **more: object
) -> Observation:
    """A booking that is the occurrence of a day."""
    start = NINE + day * DAY if at is None else at
    id_ = FIRST if day == 0 else event(f"day {day}")
    return booked(id_, start, 30, version=version, recurrence=(WEEKLY, _id(day)), **more)  # type: ignore[arg-type]  # by name


SERIES = [recurring(WEEKLY, "FREQ=WEEKLY"), _occurrence(0)]
OTHER = event("other")


def _objects(found: DoubleBooking) -> set[str]:
    return {f"{side.key.kind} {side.object}" for side in found.sides}


def test_an_occurrence_that_is_no_booking_yet_takes_time() -> None:
    scene = heard([*SERIES, booked(OTHER, NINE + 14 * DAY + 10 * MINUTE, 30, version=1)])
    (found,) = scene.told
    assert _objects(found) == {f"booking {OTHER}", f"series {FIRST}"}
    expected = next(side for side in found.sides if side.key.kind == "series")
    assert expected.key.recurrence_id == _id(14)
    assert expected.slot.status == "recurring"
    assert (expected.slot.start, expected.slot.end) == (
        NINE + 14 * DAY,
        NINE + 14 * DAY + 30 * MINUTE,
    )


def test_a_series_that_comes_later_is_found_too() -> None:
    scene = heard([booked(OTHER, NINE + 7 * DAY, 30), *reversed(SERIES)])
    assert len(scene.open()) == 1


def test_the_wall_clock_of_the_series_counts() -> None:
    """At 09:00 in New York, before and after the clocks are put forward in March."""
    scene = heard(
        [
            recurring(WEEKLY, "FREQ=WEEKLY", timezone="America/New_York"),
            booked(FIRST, NINE + 5 * HOUR, 30, recurrence=(WEEKLY, "20261127T090000")),
            booked(event("winter"), NINE + 5 * HOUR + 84 * DAY, 30),
            booked(event("summer"), NINE + 4 * HOUR + 119 * DAY, 30),
        ],
        rules(horizon_days=150),
    )
    assert sorted(each.start for each in scene.open().values()) == [
        NINE + 5 * HOUR + 84 * DAY,
        NINE + 4 * HOUR + 119 * DAY,
    ]


def test_beyond_the_horizon_nothing_is_expected() -> None:
    far = booked(OTHER, NINE + 98 * DAY, 30)
    assert heard([*SERIES, far]).told == []
    assert len(heard([*SERIES, far], rules(horizon_days=100)).told) == 1


def test_the_horizon_moves_on_as_the_series_is_heard_of() -> None:
    scene = heard([*SERIES, booked(OTHER, NINE + 98 * DAY, 30)])
    later = 30 * 24 * 60  # versions are minutes
    scene.hear(recurring(WEEKLY, "FREQ=WEEKLY", version=later))
    assert len(scene.open()) == 1


def test_an_occurrence_that_is_left_out_or_after_the_end_takes_no_time() -> None:
    second, third = (booked(event(f"o{n}"), NINE + n * 7 * DAY, 30, version=1) for n in (1, 2))
    left_out = recurring(WEEKLY, "FREQ=WEEKLY;COUNT=2", exdates=(_id(7),), version=1)
    assert heard([left_out, _occurrence(0), second, third]).told == []


@pytest.mark.parametrize("change", ["cancelled", "moved"])
def test_an_occurrence_that_was_cancelled_or_moved_is_not_expected(change: str) -> None:
    other = booked(OTHER, NINE + 7 * DAY, 30, version=9)
    scene = heard([*SERIES, other])
    assert len(scene.open()) == 1
    if change == "cancelled":
        scene.hear(_occurrence(7, version=10, status="cancelled"))
    else:
        scene.hear(_occurrence(7, version=10, at=NINE + 8 * DAY))
    assert scene.open() == {}


def test_when_an_occurrence_becomes_a_booking_nobody_is_told_again() -> None:
    scene = heard([*SERIES, booked(OTHER, NINE + 7 * DAY, 30, version=1)])
    (expected,) = scene.told
    opened, ended = scene.hear(_occurrence(7, version=2))
    assert (opened.state, ended.state, ended.ended_by) == ("open", "cleared", "booked")
    assert opened.opened_by == ended.opened_by == expected.opened_by
    assert _objects(opened) == {f"booking {OTHER}", f"booking {event('day 7')}"}
    assert len(scene.messages()) == 2
    scene.hear(cancelled(OTHER, 3))
    assert {each.values["status"] for each in scene.messages().values()} == {"withdrawn"}


def test_all_occurrences_were_booked_with_the_first() -> None:
    story = [*SERIES, booked(OTHER, NINE + 7 * DAY, 30, version=1), _occurrence(7, version=2)]
    for order in (story, story[::-1]):
        (found,) = heard(order, rules(policy=Policy.FIRST_WINS)).open().values()
        assert found.keeper is not None
        assert found.sides[found.keeper].object == str(event("day 7"))


def test_a_series_whose_bookings_were_all_cancelled_is_over() -> None:
    scene = heard([*SERIES, booked(OTHER, NINE + 7 * DAY, 30, version=1)])
    (ended,) = scene.hear(cancelled(FIRST, 2))
    assert (ended.state, ended.ended_by) == ("cleared", "series")


def test_a_series_that_is_gone_expects_nothing() -> None:
    scene = heard([*SERIES, booked(OTHER, NINE + 7 * DAY, 30, version=1)])
    scene.hear(recurring(WEEKLY, "", version=2, fact=Fact.GONE))
    assert scene.open() == {}


def test_the_occurrences_of_one_series_do_not_overlap_each_other_until_one_moves() -> None:
    scene = heard(
        [recurring(WEEKLY, "FREQ=DAILY"), booked(FIRST, NINE, 25 * 60, recurrence=(WEEKLY, _id(0)))]
    )
    assert {side.key.kind for each in scene.told for side in each.sides} == {"booking", "series"}
    assert len(scene.open()) == 1  # the booking and the next day's; nothing among the expected ones


def test_a_rule_or_zone_that_can_t_be_read_takes_no_time() -> None:
    for rule in (
        recurring(WEEKLY, "FREQ=OFTEN"),
        recurring(WEEKLY, "FREQ=WEEKLY", timezone="Mars/Olympus"),
    ):
        assert heard([rule, _occurrence(0), booked(OTHER, NINE + 7 * DAY, 30)]).told == []
    odd = booked(event("odd"), NINE + 21 * DAY, 30, recurrence=(WEEKLY, "the third"))
    scene = heard([*SERIES, odd, booked(OTHER, NINE + 7 * DAY, 30)])
    assert len(scene.open()) == 2  # it is a booking like any other, which stands for no occurrence


def test_a_booking_that_leaves_its_series_keeps_its_time() -> None:
    scene = heard(
        [*SERIES, _occurrence(7, version=1), booked(OTHER, NINE + 7 * DAY, 30, version=2)]
    )
    (before,) = scene.open().values()
    none = {"series_ref": None, "recurrence_id": None}
    scene.hear(say(event("day 7"), 3, {"recurrence": none}))
    kinds = sorted(each for found in scene.open().values() for each in _objects(found))
    # the booking over the other one, and over the occurrence that is expected again; and those two
    assert kinds.count(f"booking {event('day 7')}") == 2
    assert len(scene.open()) == 3
    assert before.id in scene.open()


STORY = [
    recurring(WEEKLY, "FREQ=WEEKLY;COUNT=4"),
    recurring(WEEKLY, "FREQ=WEEKLY", version=5),
    _occurrence(0),
    _occurrence(7, version=3),
    _occurrence(14, version=4, status="cancelled"),
    _occurrence(21, version=6, at=NINE + 22 * DAY),
    booked(OTHER, NINE + 7 * DAY + 10 * MINUTE, 30, version=2),
    booked(event("block"), NINE + 13 * DAY, 20 * 24 * 60, version=7),
    cancelled(FIRST, 8),
]


@settings(max_examples=100, deadline=None)
@given(st.permutations(STORY), st.integers(0, len(STORY)))
def test_any_order_and_a_restart_leave_the_same(story: list[Observation], restart: int) -> None:
    expected = heard(STORY, rules(policy=Policy.FIRST_WINS)).open()
    assert len(expected) > 2
    scene = Scene(rules(policy=Policy.FIRST_WINS))
    scene.hear(*story[:restart])
    scene.restart()
    scene.hear(*story[restart:])
    assert scene.open() == expected
    assert all(found == bare(found) for found in expected.values())


def test_a_change_of_one_booking_of_a_long_series_looks_at_that_one_alone() -> None:
    """A thousand bookings: counted, not timed."""
    found = Series("s")
    found.say(SeriesRule("FREQ=DAILY", (), "UTC", SAID_AT))
    slot = Slot("usr_1", NINE, NINE + HOUR, "confirmed", None, None, SAID_AT)
    for day in range(1000):
        found.put(SlotKey("booking", f"{day:04}"), Member(_id(day), "o", slot))
    first = found.expected(90)
    assert first == {}
    found.changed.clear()
    found.put(SlotKey("booking", "0050"), Member(_id(2000), "o", slot))
    assert found.changed == {SlotKey("booking", "0050")}
    sides = found._sides
    (expected,) = found.expected(90)
    assert expected.recurrence_id == _id(50)
    assert found._sides is sides  # nothing was expanded anew
