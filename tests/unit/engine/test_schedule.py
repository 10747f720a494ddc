"""The schedule: each key once at a time, in batches of one lane, when it is due."""

import asyncio

from calstream_engine.schedule import Schedule

SECOND = 1_000_000
CONTACT = "acme/contact/1"
BOOKING = "acme/booking/1"


def kind_of(key: str) -> str:
    return key.split("/")[1]


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
    schedule = Schedule(("contact", "booking"), kind_of, _Clock())
    schedule.add(BOOKING)
    schedule.add(CONTACT)
    assert await schedule.take(10) == [CONTACT]
    assert await schedule.take(10) == [BOOKING]


async def test_a_key_is_given_out_once_and_again_after_it_changed_meanwhile() -> None:
    schedule = Schedule(("contact",), kind_of, _Clock())
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
    schedule = Schedule(("contact",), kind_of, _Clock())
    for number in range(5):
        schedule.add(f"acme/contact/{number}")
    assert [len(await schedule.take(2)) for _ in range(3)] == [2, 2, 1]


async def test_a_key_waits_until_it_is_due() -> None:
    clock = _Clock()
    schedule = Schedule(("contact",), kind_of, clock)
    schedule.add(CONTACT, 5 * SECOND)
    assert await _nothing(schedule)
    clock.now = 5 * SECOND
    assert await schedule.take(10) == [CONTACT]


async def test_a_key_that_is_asked_for_earlier_comes_earlier_and_only_once() -> None:
    clock = _Clock()
    schedule = Schedule(("contact",), kind_of, clock)
    schedule.add(CONTACT, 50 * SECOND)
    schedule.add(CONTACT)
    assert await schedule.take(10) == [CONTACT]
    schedule.done(CONTACT)
    clock.now = 60 * SECOND
    assert await _nothing(schedule)


async def test_a_retry_that_was_asked_for_while_working_is_kept() -> None:
    clock = _Clock()
    schedule = Schedule(("contact",), kind_of, clock)
    schedule.add(CONTACT)
    await schedule.take(1)
    schedule.add(CONTACT, 5 * SECOND)
    schedule.done(CONTACT)
    assert await _nothing(schedule)
    clock.now = 5 * SECOND
    assert await schedule.take(1) == [CONTACT]


async def test_a_claim_waits_for_whoever_works_on_the_key() -> None:
    schedule = Schedule(("contact",), kind_of, _Clock())
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
    schedule = Schedule(("contact",), kind_of, clock)
    schedule.add(CONTACT)
    schedule.add("acme/contact/2", SECOND)
    schedule.discard({CONTACT, "acme/contact/2"})
    clock.now = 2 * SECOND
    assert await _nothing(schedule)
