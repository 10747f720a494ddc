"""Workers are ready when they can work, end when they can't, and stop within a deadline."""

import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
import pytest
from tests.integration.engine.processes import WorkerProcess
from tests.integration.engine.topics import Topics
from tests.integration.engine.transactional_apps import Names, transactional_app
from tests.integration.engine.waiting import eventually
from tests.integration.engine.workers import Workers, engine_settings

from calstream_core.errors import CalstreamError, Code
from calstream_engine import Mode, create_app
from calstream_engine import writer as writer_module
from calstream_engine.work import Work

pytestmark = pytest.mark.broker


async def test_an_agent_that_never_ends_is_ended_with_its_worker(
    topics: Topics, workers: Workers
) -> None:
    source, name = topics.make("source"), topics.name("stuck")
    app = create_app(
        engine_settings(name, topics.bootstrap_servers, stall_seconds=1.0, release_seconds=0.3)
    )

    @app.agent(app.topic(source, value_type=bytes))
    async def wait(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            if value == b"for ever":
                await asyncio.Event().wait()

    worker = await workers.start(app)
    topics.put(source, [(None, b"1")])
    await topics.until_committed(name, source, 1)
    topics.put(source, [(None, b"for ever"), (None, b"3")])
    error = await worker.until_ended()
    assert isinstance(error, CalstreamError)
    assert error.code is Code.WORKER_STALLED
    assert "stands still at 1 with 2 left" in str(error)
    assert topics.committed(name, source) == 1


async def test_a_writer_that_never_ends_is_ended_with_its_worker(
    topics: Topics, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def for_ever(_writer: object, _works: Sequence[Work]) -> None:
        await asyncio.Event().wait()

    names = Names.make(topics)
    app = transactional_app(topics, names, stall_seconds=1.0, release_seconds=0.3)
    worker = await workers.start(app)
    monkeypatch.setattr(writer_module.PartitionWriter, "write", for_ever)
    topics.put(names.source, [(None, b"+a")])
    await eventually(worker.group.standstill)
    error = await worker.until_ended()
    assert isinstance(error, CalstreamError)
    assert error.code is Code.WORKER_STALLED
    assert topics.values(names.truth) == []


async def test_a_handler_that_hangs_is_ended_with_its_process_and_the_next_goes_on(
    topics: Topics, tmp_path: Path
) -> None:
    names = Names.make(topics)
    log = tmp_path / "log"
    given: dict[str, Any] = {"group": {"hang_seconds": 2.0}}
    with WorkerProcess(topics.bootstrap_servers, names, log, **given) as process:
        await process.until_ready()
        assert process.answers("livez")
        topics.put(names.source, [(None, b"+a")])
        await topics.until_written(names.truth, 1)
        topics.put(names.source, [(None, b"!")])
        await eventually(lambda: not process.answers("livez"))
        assert await process.until_ended() == 69
    assert "the event loop hangs" in log.read_text()
    assert "_obey" in log.read_text()  # where it hangs
    assert topics.latest(names.truth) == {b"a": b"1"}


async def test_readiness_follows_the_restore_and_a_stop_is_graceful(
    topics: Topics, tmp_path: Path
) -> None:
    """Nor is a process ended because it was stopped for long: all of it was silent then."""
    names = Names.make(topics)
    topics.put(names.state, [(b"k%06d" % n, b"x" * 200) for n in range(30_000)])
    given: dict[str, Any] = {"group": {"hang_seconds": 1.0}}
    with WorkerProcess(topics.bootstrap_servers, names, tmp_path / "log", **given) as process:
        assert not process.answers("healthz")
        assert process.answers("livez")
        await process.until_ready()
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(1.5)
        process.signal(signal.SIGCONT)
        topics.put(names.source, [(None, b"?k029999")])
        (sent,) = await topics.until_written(names.out, 1)
        assert sent.value() == b"x" * 200
        process.signal(signal.SIGTERM)
        assert await process.until_ended() == 0
    assert topics.committed(names.app, names.source) == 1


async def test_a_stop_that_takes_too_long_ends_the_process(topics: Topics, tmp_path: Path) -> None:
    names, log = Names.make(topics), tmp_path / "log"
    given: dict[str, Any] = {"group": {"stop_seconds": 0.5}, "release_seconds": 1000.0}
    process = WorkerProcess(topics.bootstrap_servers, names, log, is_stuck=True, **given)
    with process:
        await process.until_ready()
        process.signal(signal.SIGTERM)
        assert await process.until_ended() == 1
    assert "ended without stopping" in log.read_text()


async def test_a_killed_static_member_has_its_partitions_back_at_once(
    topics: Topics, tmp_path: Path
) -> None:
    """The group would take them away only after the session time-out, a minute later.

    Nor is a dead letter lost or written twice by the kill.
    """
    names, log = Names.make(topics, 2), tmp_path / "log"
    given: dict[str, Any] = {
        "instance_id": "worker-0",
        "session_timeout_seconds": 60.0,
        "state_directory": str(tmp_path / "state"),
        "max_batch_records": 20,
    }
    orders = [b"bad" if n % 5 == 0 else b"+a" for n in range(600)]
    with WorkerProcess(topics.bootstrap_servers, names, log, **given) as process:
        await process.until_ready()
        for partition in (0, 1):
            topics.put(names.source, [(None, order) for order in orders], partition=partition)
        await topics.until_written(names.dead, 20)
        process.kill()
    killed_at = time.monotonic()
    with WorkerProcess(topics.bootstrap_servers, names, log, **given) as process:
        await process.until_ready()
        assert time.monotonic() - killed_at < 40
        for partition in (0, 1):
            topics.put(names.source, [(None, b"?a")], partition=partition)
            (sent,) = await topics.until_written(names.out, 1, partition)
            assert sent.value() == b"480"
            assert topics.values(names.dead, partition) == [b"bad"] * 120


async def test_a_killed_worker_in_plain_mode_loses_nothing_and_repeats_the_same(
    topics: Topics, tmp_path: Path
) -> None:
    names, log, count = Names.make(topics), tmp_path / "log", 20_000
    given: dict[str, Any] = {
        "mode": Mode.PLAIN,
        "instance_id": "worker-0",
        "session_timeout_seconds": 60.0,
        "max_batch_records": 50,
    }
    orders = [b"bad" if n % 50 == 0 else b"%d" % n for n in range(count)]
    topics.put(names.source, [(None, order) for order in orders])
    with WorkerProcess(topics.bootstrap_servers, names, log, **given):
        await topics.until_written(names.out, 100)  # and then it is killed
    with WorkerProcess(topics.bootstrap_servers, names, log, **given) as process:
        await process.until_ready()
        await topics.until_committed(names.app, names.source, count)
    sent = {(m.key(), m.value()) for m in topics.read(names.out)}
    assert sent == {(b"%d" % n, b"%d" % n) for n in range(count) if n % 50}
    letters: list[Any] = [dict(m.headers() or []) for m in topics.read(names.dead)]
    assert {int(one["origin_offset"]) for one in letters} == set(range(0, count, 50))


async def test_a_slow_vendor_holds_up_one_revoke_and_no_rebalance_follows(
    topics: Topics, workers: Workers
) -> None:
    names = Names.make(topics, 4)
    first_app = transactional_app(topics, names, release_seconds=0.5)
    assigned: list[int] = []

    async def call_vendor(_partition: int) -> None:
        await asyncio.Event().wait()

    async def take_note(partition: int) -> None:
        assigned.append(partition)

    engine = first_app.transport.engine  # type: ignore[attr-defined]  # ours has it
    engine.revoked.append(call_vendor)
    engine.assigned.append(take_note)
    first = await workers.start(first_app)
    second_app = transactional_app(topics, names)
    second = await workers.start(second_app)
    await eventually(lambda: len(second_app.consumer.assignment()) == 2)
    for partition in range(4):
        topics.put(names.source, [(None, b"+a")], partition=partition)
        await topics.until_written(names.truth, 1, partition)
    assert sorted(assigned) == [0, 1, 2, 3]  # what stayed, was not given anew
    assert first.group.fault() is None
    await asyncio.gather(first.stop(), second.stop())
