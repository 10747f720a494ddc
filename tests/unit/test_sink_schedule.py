"""The queue of a sink: each key once at a time, in batches of one kind, when it is due."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calstream_engine.schedule import Schedule
from calstream_schemas.entities import kind_of_key
from calstream_sinks.runner.retry import backoff_seconds

SECOND = 1_000_000
CONTACT = "acme/contact/1"
BOOKING = "acme/booking/1"


class _Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


async def _nothing(schedule: Schedule) -> bool:
    try:
        await asyncio.wait_for(schedule.take(10), 0.02)
    except TimeoutError:
        return True
    return False


async def test_what_others_need_comes_first_and_kinds_are_not_mixed() -> None:
    schedule = Schedule(("contact", "booking"), kind_of_key, _Clock())
    schedule.add(BOOKING)
    schedule.add(CONTACT)
    assert await schedule.take(10) == [CONTACT]
    assert await schedule.take(10) == [BOOKING]


async def test_a_key_is_given_out_once_and_again_after_it_changed_meanwhile() -> None:
    schedule = Schedule(("contact",), kind_of_key, _Clock())
    schedule.add(CONTACT)
    schedule.add(CONTACT)
    assert await schedule.take(10) == [CONTACT]
    schedule.add(CONTACT)
    assert await _nothing(schedule)
    schedule.done(CONTACT)
    assert await schedule.take(10) == [CONTACT]
    schedule.done(CONTACT)
    assert await _nothing(schedule)
    assert schedule.busy == 0


async def test_a_batch_is_never_larger_than_asked_for() -> None:
    schedule = Schedule(("contact",), kind_of_key, _Clock())
    for number in range(5):
        schedule.add(f"acme/contact/{number}")
    assert [len(await schedule.take(2)) for _ in range(3)] == [2, 2, 1]


async def test_a_key_waits_until_it_is_due() -> None:
    clock = _Clock()
    schedule = Schedule(("contact",), kind_of_key, clock)
    schedule.add(CONTACT, 5 * SECOND)
    assert await _nothing(schedule)
    clock.now = 5 * SECOND
    assert await schedule.take(10) == [CONTACT]


async def test_a_key_that_is_asked_for_earlier_comes_earlier_and_only_once() -> None:
    clock = _Clock()
    schedule = Schedule(("contact",), kind_of_key, clock)
    schedule.add(CONTACT, 50 * SECOND)
    schedule.add(CONTACT)
    assert await schedule.take(10) == [CONTACT]
    schedule.done(CONTACT)
    clock.now = 60 * SECOND
    assert await _nothing(schedule)


async def test_a_retry_that_was_asked_for_while_working_is_kept() -> None:
    clock = _Clock()
    schedule = Schedule(("contact",), kind_of_key, clock)
    schedule.add(CONTACT)
    await schedule.take(1)
    schedule.add(CONTACT, 5 * SECOND)
    schedule.done(CONTACT)
    assert await _nothing(schedule)
    clock.now = 5 * SECOND
    assert await schedule.take(1) == [CONTACT]


async def test_a_claim_waits_for_whoever_works_on_the_key() -> None:
    schedule = Schedule(("contact",), kind_of_key, _Clock())
    schedule.add(CONTACT)
    await schedule.take(1)
    claim = asyncio.create_task(schedule.claim([CONTACT]))
    await asyncio.wait([claim], timeout=0.02)
    assert not claim.done()
    schedule.done(CONTACT)
    await claim
    schedule.add(CONTACT)
    assert await _nothing(schedule)
    schedule.done(CONTACT)
    assert await schedule.take(1) == [CONTACT]


async def test_keys_that_are_not_ours_any_more_are_forgotten() -> None:
    clock = _Clock()
    schedule = Schedule(("contact",), kind_of_key, clock)
    schedule.add(CONTACT)
    schedule.add("acme/contact/2", SECOND)
    schedule.discard({CONTACT, "acme/contact/2"})
    clock.now = 2 * SECOND
    assert await _nothing(schedule)


class _Upper(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@given(attempts=st.integers(1, 200), asked=st.none() | st.floats(0, 1000))
def test_waiting_grows_to_a_cap_and_never_undercuts_what_was_asked(
    attempts: int, asked: float | None
) -> None:
    seconds = backoff_seconds(attempts, asked, _Upper())
    assert seconds <= 300 + (asked or 0)
    assert asked is None or seconds >= asked


@pytest.mark.parametrize(("attempts", "expected"), [(1, 1), (2, 2), (5, 16), (60, 300)])
def test_waiting_doubles(attempts: int, expected: float) -> None:
    assert backoff_seconds(attempts, None, _Upper()) == expected
