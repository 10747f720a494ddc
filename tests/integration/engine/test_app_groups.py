"""Several apps share a process: they start, are watched and stop together."""

import asyncio

import faust
import pytest
from tests.integration.engine.topics import Topics
from tests.integration.engine.transactional_apps import Names, transactional_app
from tests.integration.engine.waiting import eventually
from tests.integration.engine.workers import Workers, engine_settings

from calstream_core.errors import Code
from calstream_engine import Batch, Work, batch_agent, create_app
from calstream_engine.failures import WorkerStopError

pytestmark = pytest.mark.broker


def _forwarding(topics: Topics, source: str, target: str, verb: bytes) -> faust.App:
    """Makes orders of values, so that another app may obey them."""
    app = create_app(engine_settings(topics.name("forward"), topics.bootstrap_servers))

    @batch_agent(app, source)
    def forward(batch: Batch, work: Work) -> None:
        for record in batch:
            if record.value() == b"bad":
                raise ValueError
            work.send(target, None, verb + (record.value() or b""))

    return app


async def test_apps_of_a_process_hand_records_to_each_other(
    topics: Topics, workers: Workers
) -> None:
    names, values = Names.make(topics, 2), topics.make("values", 2)
    worker = await workers.start(
        _forwarding(topics, values, names.source, b"+"), transactional_app(topics, names)
    )
    for partition in (0, 1):
        topics.put(values, [(None, b"a")] * (partition + 1), partition=partition)
    await eventually(lambda: topics.latest(names.truth, 1) == {b"a": b"2"})
    await eventually(lambda: topics.latest(names.truth, 0) == {b"a": b"1"})
    await worker.stop()


async def test_one_that_crashes_ends_all_and_what_the_others_did_is_committed(
    topics: Topics, workers: Workers
) -> None:
    names, values = Names.make(topics), topics.make("values")
    worker = await workers.start(
        _forwarding(topics, values, topics.make("nowhere"), b"+"), transactional_app(topics, names)
    )
    topics.put(names.source, [(None, b"+a")])
    await topics.until_written(names.truth, 1)
    topics.put(values, [(None, b"bad")])
    error = await worker.until_ended()
    assert isinstance(error, WorkerStopError)
    assert error.code is Code.RECORD_FAILED
    assert topics.committed(names.app, names.source) == 1


async def test_readiness_names_the_app_that_is_not_ready(topics: Topics, workers: Workers) -> None:
    names = Names.make(topics)
    ready = _forwarding(topics, topics.make("values"), topics.make("out"), b"")
    worker = workers.run(ready, transactional_app(topics, names))
    assert "starting" in (worker.group.fault() or "")
    await worker.until_ready()
    assert worker.group.standstill() is None
    await worker.stop()


async def test_a_process_may_be_stopped_at_any_time_of_its_start(
    topics: Topics, workers: Workers
) -> None:
    names = Names.make(topics)
    for number in range(8):
        worker = workers.run(transactional_app(topics, names))
        await asyncio.sleep(number * 0.03)
        await worker.stop()
