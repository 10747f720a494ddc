"""The committed offset never passes what is not durable, and never stays behind what is done."""

import asyncio
from collections.abc import Callable
from typing import Any

import faust
import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.integration.engine.topics import COMPACTED, Topics
from tests.integration.engine.waiting import eventually
from tests.integration.engine.workers import Workers, engine_settings

from calstream_engine import Batch, Work, batch_agent, create_app
from calstream_engine import membership as membership_module

pytestmark = pytest.mark.broker

Seen = list[bytes | None]


def _reader(topics: Topics, name: str, source: str, seen: Seen, **changes: Any) -> faust.App:
    """An app that takes note of what it reads."""
    app = create_app(engine_settings(name, topics.bootstrap_servers, **changes))

    @batch_agent(app, source)
    def see(batch: Batch, _work: Work) -> None:
        seen.extend(record.value() for record in batch)

    return app


def _numbers(first: int, last: int) -> list[tuple[bytes | None, bytes | None]]:
    return [(b"k%d" % (n % 5), b"%d" % n) for n in range(first, last)]


async def test_a_group_without_a_commit_begins_at_the_beginning(
    topics: Topics, workers: Workers
) -> None:
    source, name, seen = topics.make("source"), topics.name("group"), Seen()
    topics.put(source, _numbers(0, 10))
    worker = await workers.start(_reader(topics, name, source, seen))
    await topics.until_committed(name, source, 10)
    await worker.stop()
    assert seen == [b"%d" % n for n in range(10)]


async def test_a_group_with_a_commit_goes_on_behind_it(topics: Topics, workers: Workers) -> None:
    source, name, seen = topics.make("source"), topics.name("group"), Seen()
    topics.put(source, _numbers(0, 10))
    topics.commit(name, source, 7)
    worker = await workers.start(_reader(topics, name, source, seen))
    await topics.until_committed(name, source, 10)
    await worker.stop()
    assert seen == [b"7", b"8", b"9"]


async def test_nothing_is_committed_past_what_is_in_flight(
    topics: Topics, workers: Workers
) -> None:
    source, name = topics.make("source"), topics.name("group")
    app = create_app(engine_settings(name, topics.bootstrap_servers))
    may_end: dict[bytes, asyncio.Event] = {b"%d" % n: asyncio.Event() for n in range(4)}
    begun: set[bytes] = set()

    @app.agent(app.topic(source, value_type=bytes), concurrency=4)
    async def hold(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            begun.add(value)
            await may_end[value].wait()

    topics.put(source, [(None, value) for value in may_end])
    worker = await workers.start(app)
    await eventually(lambda: len(begun) == 4)
    for done, expected in [(b"1", 0), (b"3", 0), (b"0", 2), (b"2", 4)]:
        may_end[done].set()
        if expected:
            await topics.until_committed(name, source, expected)
        else:
            await _a_few_commits(app)
            assert topics.committed(name, source) == 0
    await worker.stop()


async def _a_few_commits(app: faust.App) -> None:
    consumer: Any = app.consumer
    for _ in range(2):
        await consumer.commit()


async def test_holes_of_a_compacted_topic_are_passed_also_at_its_end(
    topics: Topics, workers: Workers
) -> None:
    """The last offsets are removals that compaction took away, and a marker."""
    source = topics.make_named(topics.name("source"), 1, COMPACTED)
    topics.put(source, _numbers(0, 500))
    topics.put_in_transaction(source, [(b"k0", None), (b"k1", None)])
    topics.put(source, [(b"filler", None)])
    topics.put_in_transaction(source, [(b"gone", b"x")], commit=False)
    end = topics.end(source)
    await eventually(lambda: asyncio.to_thread(lambda: len(topics.read(source)) < 20))
    name, seen = topics.name("group"), Seen()
    worker = await workers.start(_reader(topics, name, source, seen))
    await topics.until_committed(name, source, end)
    await worker.stop()
    assert len(seen) < 20
    assert b"x" not in seen


async def test_markers_and_aborted_transactions_are_passed(
    topics: Topics, workers: Workers
) -> None:
    source, name, seen = topics.make("source"), topics.name("group"), Seen()
    worker = await workers.start(_reader(topics, name, source, seen))
    topics.put_in_transaction(source, _numbers(0, 3))
    await topics.until_committed(name, source, 4)
    topics.put_in_transaction(source, [(b"gone", b"x")] * 50, commit=False)
    await topics.until_committed(name, source, 55)
    topics.put_in_transaction(source, _numbers(3, 5))
    topics.put_in_transaction(source, [(b"gone", b"x")] * 3, commit=False)
    topics.put_in_transaction(source, [(b"gone", b"x")] * 3, commit=False)
    await topics.until_committed(name, source, topics.end(source))
    await worker.stop()
    assert seen == [b"%d" % n for n in range(5)]


async def test_a_transaction_that_stays_open_is_no_standstill(
    topics: Topics, workers: Workers
) -> None:
    """There is lag and no movement, but nothing that could be read."""
    source, name, seen = topics.make("source"), topics.name("group"), Seen()
    app = _reader(topics, name, source, seen, stall_seconds=0.3)
    worker = await workers.start(app)
    consumer: Any = app.consumer
    (claim,) = consumer.reading.claims.values()
    with topics.open_transaction(source, [(b"k", b"1")]) as transaction:
        await eventually(lambda: claim.lag)
        looked_at = claim.moved_at
        await eventually(lambda: claim.moved_at > looked_at)  # it would have been ended
        await worker.until_ready()
        transaction.commit_transaction()
    await topics.until_committed(name, source, 2)
    await worker.stop()
    assert seen == [b"1"]


async def test_a_commit_that_failed_is_told_again(
    topics: Topics, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit: Callable[..., None] = membership_module._commit
    refused: list[int] = []

    def flaky(consumer: Any, offsets: dict[Any, int]) -> None:
        if offsets and len(refused) < 3:
            refused.append(len(offsets))
            raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS, "later"))
        commit(consumer, offsets)

    monkeypatch.setattr(membership_module, "_commit", flaky)
    source, name, seen = topics.make("source"), topics.name("group"), Seen()
    topics.put(source, _numbers(0, 10))
    worker = await workers.start(_reader(topics, name, source, seen))
    await topics.until_committed(name, source, 10)
    await worker.stop()
    assert len(refused) == 3
    assert len(seen) == 10


@pytest.mark.parametrize("kind", ["stock agent", "batch agent"])
async def test_all_the_room_in_flight_is_given_back(
    topics: Topics, workers: Workers, kind: str
) -> None:
    """Also that of large records, and of those that were read twice or failed."""
    source, dead, name = topics.make("source"), topics.make("dead"), topics.name("group")
    app = create_app(
        engine_settings(
            name,
            topics.bootstrap_servers,
            dead_topic=dead,
            max_records_in_flight=50,
            max_batch_records=20,
        )
    )

    def refuse(value: bytes | None) -> None:
        if value == b"bad":
            raise ValueError

    if kind == "batch agent":

        @batch_agent(app, source)
        def handle(batch: Batch, _work: Work) -> None:
            for record in batch:
                refuse(record.value())
    else:

        @app.agent(app.topic(source, value_type=bytes))
        async def agent(stream: faust.StreamT[bytes]) -> None:
            async for value in stream:
                refuse(value)

    values = [b"small", b"x" * 5000, b"bad", b"x" * 300_000, None] * 40
    topics.put(source, [(None, value) for value in values])
    worker = await workers.start(app)
    await topics.until_committed(name, source, len(values))
    consumer: Any = app.consumer
    (claim,) = consumer.reading.claims.values()
    assert (claim.records_in_flight, consumer.reading._membership._in_flight) == (0, 0)
    await worker.stop()
    assert topics.values(dead) == [b"bad"] * 40


async def test_a_graceful_stop_commits_so_that_the_next_worker_repeats_nothing(
    topics: Topics, workers: Workers
) -> None:
    source, name, seen = topics.make("source", 4), topics.name("group"), Seen()
    for partition in range(4):
        topics.put(source, _numbers(0, 100), partition=partition)
    changes = {"commit_interval_seconds": 1000.0}  # whatever is committed, is at the stop
    worker = await workers.start(_reader(topics, name, source, seen, **changes))
    await eventually(lambda: len(seen) == 400)
    await worker.stop()
    assert [topics.committed(name, source, n) for n in range(4)] == [100] * 4
    worker = await workers.start(_reader(topics, name, source, seen, **changes))
    topics.put(source, _numbers(100, 101), partition=3)
    await eventually(lambda: len(seen) > 400)
    await worker.stop()
    assert seen[400:] == [b"100"]


async def test_partitions_that_move_to_another_worker_repeat_nothing(
    topics: Topics, workers: Workers
) -> None:
    source, name = topics.make("source", 4), topics.name("group")
    seen: list[Seen] = [[], [], []]
    for partition in range(4):
        topics.put(source, _numbers(0, 50), partition=partition)
    changes = {"commit_interval_seconds": 1000.0}
    first = await workers.start(_reader(topics, name, source, seen[0], **changes))
    await eventually(lambda: len(seen[0]) == 200)
    second = await workers.start(_reader(topics, name, source, seen[1], **changes))
    await eventually(lambda: sorted(_claims(first) + _claims(second)) == [0, 1, 2, 3])
    await eventually(lambda: len(_claims(second)) == 2)
    for partition in range(4):
        topics.put(source, _numbers(50, 60), partition=partition)
    await eventually(lambda: len(seen[0]) + len(seen[1]) == 240)
    await first.stop()
    await eventually(lambda: len(_claims(second)) == 4)
    await second.until_ready()
    await second.stop()
    assert (len(seen[0]), len(seen[1])) == (220, 20)
    assert [topics.committed(name, source, n) for n in range(4)] == [60] * 4


def _claims(worker: Any) -> list[int]:
    (app,) = worker.group._apps
    return sorted(tp.partition for tp in app.consumer.assignment())


async def test_a_worker_without_a_partition_is_ready_and_takes_over(
    topics: Topics, workers: Workers
) -> None:
    source, name = topics.make("source"), topics.name("group")
    seen: list[Seen] = [[], []]
    first = await workers.start(_reader(topics, name, source, seen[0]))
    topics.put(source, _numbers(0, 5))
    await topics.until_committed(name, source, 5)
    second = await workers.start(_reader(topics, name, source, seen[1]))
    assert len(_claims(first)) + len(_claims(second)) == 1
    await first.stop()
    topics.put(source, _numbers(5, 8))
    await topics.until_committed(name, source, 8)
    await second.stop()
    assert sorted(seen[0] + seen[1], key=lambda v: int(v or b"")) == [b"%d" % n for n in range(8)]
