"""A loop that hangs is noticed from outside, and one that turns is left alone."""

import asyncio
import threading

from calstream_engine.heartbeat import Heartbeat


async def test_a_loop_that_hangs_ends_the_process() -> None:
    ended = threading.Event()
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        ended.set()

    with Heartbeat(0.05, end) as heartbeat:
        assert ended.wait(30)  # in the loop, which therefore answers nobody
        assert heartbeat.silent_seconds > 0
    assert statuses == [69]


async def test_a_loop_that_turns_is_left_alone() -> None:
    statuses: list[int] = []
    with Heartbeat(0.5, statuses.append) as heartbeat:
        for _ in range(10):
            await asyncio.sleep(0.05)
        silent_seconds = heartbeat.silent_seconds
    assert statuses == []
    assert silent_seconds < 0.5


async def test_the_watch_ends_with_the_block() -> None:
    with Heartbeat(0.01, lambda _status: None) as heartbeat:
        await asyncio.sleep(0)
    await asyncio.to_thread(heartbeat._thread.join)
    assert not heartbeat._thread.is_alive()
