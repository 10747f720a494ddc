"""Whoever has lost a partition writes nothing to it any more, however late he wakes up."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.engine.topics import Topics
from tests.integration.engine.transactional_apps import (
    Names,
    state_of,
    transactional_app,
)
from tests.integration.engine.waiting import eventually
from tests.integration.engine.workers import Workers

from calstream_core.errors import Code
from calstream_engine import FencedError, state_writer
from calstream_engine.writer import PartitionWriter, WriterSettings

pytestmark = pytest.mark.broker


async def _take_over(topics: Topics, names: Names) -> None:
    """Opens the partition as a worker of the same app does that the group has given it to."""
    with ThreadPoolExecutor(1) as executor:
        client = {"bootstrap.servers": topics.bootstrap_servers}
        writer = PartitionWriter(WriterSettings(names.app, client, "state", executor), 0)
        await writer.open()
        await writer.close()


async def test_a_state_writer_is_fenced_by_who_takes_the_partition(
    topics: Topics, workers: Workers
) -> None:
    names = Names.make(topics)
    app = transactional_app(topics, names, stall_seconds=1.0)
    worker = await workers.start(app)
    writer = state_writer(app)
    work = writer.work(0)
    work["state"].put(b"a", b"1")
    await writer.write(work)
    await _take_over(topics, names)
    work = writer.work(0)
    work["state"].put(b"a", b"2")
    work.send(names.out, None, b"sent")
    with pytest.raises(FencedError) as caught:
        await writer.write(work)
    assert caught.value.code is Code.WORKER_FENCED
    # the group says nothing, as it knows of nobody else: so the worker ends
    error = await worker.until_ended()
    assert isinstance(error, FencedError)
    assert topics.latest(names.state) == {b"a": b"1"}
    assert topics.values(names.out) == []


async def test_a_stage_is_fenced_and_what_it_had_read_is_read_again(
    topics: Topics, workers: Workers
) -> None:
    names = Names.make(topics)
    app = transactional_app(topics, names, stall_seconds=1.0)
    worker = await workers.start(app)
    topics.put(names.source, [(None, b"+a")])
    await topics.until_committed(names.app, names.source, 1)
    await _take_over(topics, names)
    topics.put(names.source, [(None, b"+a"), (None, b"?a")])
    assert isinstance(await worker.until_ended(), FencedError)
    assert topics.latest(names.truth) == {b"a": b"1"}
    assert topics.values(names.out) == []
    app = transactional_app(topics, names)
    worker = await workers.start(app)
    await topics.until_written(names.out, 1)
    await worker.stop()
    assert topics.values(names.out) == [b"2"]
    assert topics.latest(names.truth) == {b"a": b"2"}


async def test_a_partition_that_has_moved_is_not_written(topics: Topics, workers: Workers) -> None:
    names = Names.make(topics, 2)
    first_app, second_app = transactional_app(topics, names), transactional_app(topics, names)
    first = await workers.start(first_app)
    writers = state_writer(first_app), state_writer(second_app)
    held = {partition: writers[0].work(partition) for partition in (0, 1)}
    second = await workers.start(second_app)
    await eventually(lambda: len(writers[0].partitions) == len(writers[1].partitions) == 1)
    (moved,) = writers[1].partitions
    held[moved]["state"].put(b"a", b"of the first")
    with pytest.raises(FencedError):
        await writers[0].write(held[moved])
    with pytest.raises(FencedError):
        writers[0].work(moved)
    work = writers[1].work(moved)
    work["state"].put(b"a", b"of the second")
    await writers[1].write(work)
    assert topics.latest(names.state, moved) == {b"a": b"of the second"}
    await asyncio.gather(first.stop(), second.stop())


async def test_writes_beside_batches_are_one_history(topics: Topics, workers: Workers) -> None:
    """A state writer and a stage count the same key, each from what is committed."""
    names = Names.make(topics)
    app = transactional_app(topics, names)
    worker = await workers.start(app)
    writer = state_writer(app)
    for _ in range(20):
        topics.put(names.source, [(None, b"+batch")])
        work = writer.work(0)
        count = int(work["truth"].get(b"writer") or 0) + 1
        work["truth"].put(b"writer", b"%d" % count)
        await writer.write(work)
    await topics.until_committed(names.app, names.source, 20)
    await worker.stop()
    assert topics.latest(names.truth) == {b"writer": b"20", b"batch": b"20"}


async def test_a_former_owner_s_open_transaction_is_ended_before_the_state_is_restored(
    topics: Topics, workers: Workers
) -> None:
    """What it had begun is in the log and never counts."""
    names = Names.make(topics)
    with topics.open_transaction(names.state, [(b"a", b"half")], transactional_id=f"{names.app}-0"):
        app = transactional_app(topics, names)
        worker = await workers.start(app)
        assert state_of(app) == {}
        topics.put(names.source, [(None, b"+a")])
        await topics.until_committed(names.app, names.source, 1)
        assert state_of(app) == {b"a": b"1"}
        await worker.stop()
    assert topics.latest(names.truth) == {b"a": b"1"}
