"""State is what its changelog says: after a restart, a move, an interruption, however long away."""

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message
from tests.integration.engine.topics import Topics
from tests.integration.engine.transactional_apps import (
    Names,
    records_restored,
    state_of,
    transactional_app,
)
from tests.integration.engine.waiting import eventually
from tests.integration.engine.workers import Workers

from calstream_engine.schedule import Schedule
from calstream_engine.state import restore as restore_module
from calstream_engine.state.store import RESERVED
from calstream_engine.work import Work

pytestmark = pytest.mark.broker


def _orders(*orders: bytes) -> list[tuple[bytes | None, bytes | None]]:
    return [(None, order) for order in orders]


def _written(topics: Topics, topic: str, partition: int = 0) -> list[tuple[Any, Any]]:
    """What is in a changelog, without the engine's own records."""
    return [
        (m.key(), m.value())
        for m in topics.read(topic, partition)
        if not (m.key() or b"").startswith(RESERVED)
    ]


async def test_a_truth_has_every_version_and_state_each_key_once_a_batch(
    topics: Topics, workers: Workers
) -> None:
    names = Names.make(topics)
    topics.put(names.source, _orders(b"+a", b"+a", b"+b", b"+a", b"-b"))
    worker = await workers.start(transactional_app(topics, names))
    await topics.until_committed(names.app, names.source, 5)
    await worker.stop()
    assert _written(topics, names.truth) == [
        (b"a", b"1"),
        (b"a", b"2"),
        (b"b", b"1"),
        (b"a", b"3"),
        (b"b", None),
    ]
    assert dict(topics.read(names.truth)[0].headers() or []) == {"order": b"+a"}
    assert _written(topics, names.state) == [(b"a", b"3"), (b"b", None)]


@pytest.mark.parametrize("kept", ["memory", "disk", "wiped"])
async def test_a_restart_goes_on_with_state_and_position_as_they_were(
    topics: Topics, workers: Workers, tmp_path: Path, kept: str
) -> None:
    """The position is the state's own: what the group has committed does not matter."""
    names = Names.make(topics)
    directory = None if kept == "memory" else tmp_path / "state"
    topics.put(names.source, _orders(b"+a", b"+b", b"+a"))
    worker = await workers.start(transactional_app(topics, names, directory))
    await topics.until_committed(names.app, names.source, 3)
    await worker.stop()
    topics.commit(names.app, names.source, 0)
    if kept == "wiped":
        shutil.rmtree(tmp_path / "state")
    app = transactional_app(topics, names, directory)
    worker = await workers.start(app)
    assert state_of(app) == {b"a": b"2", b"b": b"1"}
    read = records_restored(app)
    assert read == 0 if kept == "disk" else read > 0
    topics.put(names.source, _orders(b"+a", b"?a"))
    await topics.until_written(names.out, 1)
    await worker.stop()
    assert topics.values(names.out) == [b"3"]


async def test_state_that_was_left_too_long_ago_is_restored_from_the_beginning(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    names = Names.make(topics)
    topics.put(names.source, _orders(b"+a", b"+b"))
    worker = await workers.start(transactional_app(topics, names, tmp_path))
    await topics.until_committed(names.app, names.source, 2)
    await worker.stop()
    app = transactional_app(topics, names, tmp_path, keep_state_seconds=-1.0)
    worker = await workers.start(app)
    assert records_restored(app) == len(topics.read(names.state)) + len(topics.read(names.truth))
    assert state_of(app) == {b"a": b"1", b"b": b"1"}
    await worker.stop()


async def test_a_partition_that_was_away_comes_back_without_stale_keys(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    """Its state stays on disk meanwhile; the other worker removes a key and counts another."""
    names = Names.make(topics, 2)
    first_app = transactional_app(topics, names, tmp_path / "first")
    first = await workers.start(first_app)
    for partition in (0, 1):
        topics.put(names.source, _orders(b"+a", b"+b", b"+c"), partition=partition)
        await topics.until_committed(names.app, names.source, 3, partition)
    second_app = transactional_app(topics, names, tmp_path / "second")
    second = await workers.start(second_app)
    moved = await eventually(lambda: _only_partition(second_app))
    topics.put(names.source, _orders(b"-a", b"+b"), partition=int(moved) - 1)
    await topics.until_committed(names.app, names.source, 5, int(moved) - 1)
    await second.stop()
    topics.put(names.source, _orders(b"?a", b"?b", b"?c"), partition=int(moved) - 1)
    await topics.until_written(names.out, 3, int(moved) - 1)
    assert topics.values(names.out, int(moved) - 1) == [None, b"2", b"1"]
    assert state_of(first_app, int(moved) - 1) == {b"b": b"2", b"c": b"1"}
    assert 0 < records_restored(first_app, int(moved) - 1) < 10  # only what is new
    await first.stop()


def _only_partition(app: Any) -> int:
    """One more than the partition that an app has, if it has one."""
    places = app.consumer.assignment()
    return min((place.partition for place in places), default=-1) + 1 if len(places) == 1 else 0


class _HeldUp:
    """Lets a restore read a few times, then holds it up until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, reads: int) -> None:
        self.held = threading.Event()
        self.may_go_on = threading.Event()
        self._left = reads
        self._read = restore_module._read
        monkeypatch.setattr(restore_module, "_BATCH", 200)
        monkeypatch.setattr(restore_module, "_read", self._read_slowly)

    def _read_slowly(self, consumer: Consumer) -> list[Message]:
        messages = self._read(consumer)
        self._left -= bool(messages)
        if self._left < 0:
            self.held.set()
            self.may_go_on.wait()
        return messages


async def test_a_restore_that_is_interrupted_goes_on_where_it_was(
    topics: Topics, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, count = Names.make(topics), 3000
    topics.put(names.state, [(b"k%04d" % n, b"%d" % n) for n in range(count)])
    held_up = _HeldUp(monkeypatch, 5)
    app = transactional_app(topics, names, tmp_path)
    worker = workers.run(app)
    await asyncio.to_thread(held_up.held.wait)
    read = records_restored(app)
    assert 0 < read < count
    fault = worker.group.fault() or ""
    assert f"restoring {names.source}[0] ({count - read} records left)" in fault
    stopping = asyncio.create_task(worker.stop())
    await eventually(lambda: _is_given_up(app))
    held_up.may_go_on.set()
    await stopping
    monkeypatch.undo()
    app = transactional_app(topics, names, tmp_path)
    worker = await workers.start(app)
    assert records_restored(app) <= count - read
    assert state_of(app) == {b"k%04d" % n: b"%d" % n for n in range(count)}
    await worker.stop()


def _is_given_up(app: Any) -> bool:
    return not app.transport.engine.ownership.partitions


async def test_a_restore_of_one_partition_holds_up_no_other_worker(
    topics: Topics, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may be stopped, and others go on, while one restores."""
    names = Names.make(topics, 2)
    first = await workers.start(transactional_app(topics, names))
    held_up = _HeldUp(monkeypatch, 0)
    second_app = transactional_app(topics, names)
    second = workers.run(second_app)
    for partition in (0, 1):
        topics.put(names.state, [(b"k", b"1")], partition=partition)
    await asyncio.to_thread(held_up.held.wait)
    restoring = await eventually(lambda: _only_partition(second_app)) - 1
    topics.put(names.source, _orders(b"+a", b"?a"), partition=1 - restoring)
    await topics.until_written(names.out, 1, 1 - restoring)
    held_up.may_go_on.set()
    await second.until_ready()
    await asyncio.gather(first.stop(), second.stop())


class _Later:
    """Does keys when they are due: its schedule is an index over its table."""

    def __init__(self, now: int) -> None:
        self.schedule = Schedule(("lane",), lambda _key: "lane", lambda: now)

    def restored(self, _partition: int, work: Work) -> None:
        for key, due in work["state"].store.items():
            self.schedule.add(key.decode(), int(due))

    def handle(self, batch: Any, work: Work) -> None:
        for record in batch:
            work["state"].put(record.key(), record.value())

    def committed(self, _partition: int) -> None:
        """The next restore finds it."""

    def rolled_back(self, _partition: int) -> None:
        """Nothing was kept."""

    def released(self, _partition: int) -> None:
        self.schedule.discard({"soon", "late"})


async def test_due_times_survive_a_restart(topics: Topics, workers: Workers) -> None:
    names = Names.make(topics)
    topics.put(names.source, [(b"late", b"2000"), (b"soon", b"1000"), (b"early", b"500")])
    worker = workers.run(transactional_app(topics, names, handler=_Later(0)))
    await topics.until_committed(names.app, names.source, 3)
    await worker.stop()
    handler = _Later(1500)
    worker = await workers.start(transactional_app(topics, names, handler=handler))
    assert sorted(await handler.schedule.take(10)) == ["early", "soon"]
    await worker.stop()
