"""A stage in plain mode: what it sends is confirmed before a record counts as done."""

import asyncio

import pytest
from tests.unit.engine.fakes import batch_of
from tests.unit.engine.stage_scene import Scene, echo, echo_plainly

from calstream_core.errors import Code, InvariantError, RecordError, UnavailableError
from calstream_engine import stage as stage_module
from calstream_engine.configuration import Mode
from calstream_engine.failures import WorkerStopError
from calstream_engine.records import Batch
from calstream_engine.work import Work


def _away() -> UnavailableError:
    return UnavailableError(Code.BROKER_UNAVAILABLE, "away")


def _sent(scene: Scene) -> list[list[tuple[str, bytes | None]]]:
    return [[(one.topic, one.value) for one in records] for records in scene.producer.sent]


async def test_a_batch_is_done_once_everything_it_sent_is_confirmed() -> None:
    scene = Scene(echo_plainly, mode=Mode.PLAIN)
    scene.producer.may_confirm.clear()
    scene.start()
    scene.put(batch_of(b"1", b"bad", b"3"))
    await scene.handler.until("handle 3")
    assert scene.done == []
    scene.producer.may_confirm.set()
    await scene.until_done(1)
    await scene.release()
    assert _sent(scene) == [[("out", b"1"), ("dead", b"bad"), ("out", b"3")]]


async def test_a_broker_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "_RETRY_SECONDS", 0.0)
    scene = Scene(echo_plainly, mode=Mode.PLAIN)
    scene.producer.failures = [_away(), _away()]
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.until_done(1)
    await scene.release()
    assert _sent(scene) == [[("out", b"1")]]
    assert scene.crashes == []


async def test_a_release_while_the_broker_is_away_gives_the_batch_up() -> None:
    scene = Scene(echo_plainly, mode=Mode.PLAIN)
    scene.producer.may_confirm.clear()
    scene.producer.failures = [_away()]
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.handler.until("handle 1")
    release = asyncio.create_task(scene.release())
    await asyncio.sleep(0)
    scene.producer.may_confirm.set()
    await release
    assert (scene.done, scene.crashes, scene.producer.sent) == ([], [], [])


async def test_batches_overtake_no_batch_before_them_more_than_a_few_times() -> None:
    scene = Scene(echo_plainly, mode=Mode.PLAIN, max_batch_records=1)
    scene.producer.may_confirm.clear()
    scene.start()
    for number in range(10):
        scene.put(batch_of(b"%d" % number, first=number))
    for _ in range(100):
        await asyncio.sleep(0)
    in_flight = sum(call.startswith("handle") for call in scene.handler.calls)
    assert in_flight == stage_module._PLAIN_BATCHES_IN_FLIGHT
    scene.producer.may_confirm.set()
    await scene.until_done(10)
    await scene.release()
    assert _sent(scene) == [[("out", b"%d" % number)] for number in range(10)]


async def test_a_failure_of_ours_stops_the_partition_and_what_was_sent_before_is_done() -> None:
    def break_it(batch: Batch, work: Work) -> None:
        if batch.records[0].value() == b"wrong":
            raise InvariantError(Code.INVARIANT_BROKEN, "strange")
        echo_plainly(batch, work)

    scene = Scene(break_it, mode=Mode.PLAIN, max_batch_records=1)
    scene.producer.may_confirm.clear()
    scene.start()
    scene.put(batch_of(b"1"))
    scene.put(batch_of(b"wrong", first=1))
    scene.put(batch_of(b"3", first=2))
    await scene.handler.until("rolled back")
    scene.producer.may_confirm.set()
    await scene.until_ended()
    assert scene.done == [1]
    assert isinstance(scene.claim.stopped, InvariantError)
    assert scene.crashes == []
    await scene.release()


async def test_without_a_place_for_dead_letters_the_worker_ends() -> None:
    scene = Scene(echo_plainly, mode=Mode.PLAIN, dead_topic=None)
    scene.start()
    scene.put(batch_of(b"bad"))
    await scene.until_ended()
    assert [type(error) for error in scene.crashes] == [WorkerStopError]
    assert scene.done == []
    await scene.release()


async def test_a_record_that_no_broker_takes_ends_the_worker_with_its_reason() -> None:
    scene = Scene(echo_plainly, mode=Mode.PLAIN)
    failure = RecordError(Code.RECORD_TOO_LARGE, "larger than the topic takes")
    scene.producer.failures = [failure]
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.until_ended()
    assert scene.crashes == [failure]
    assert scene.done == []
    await scene.release()


async def test_a_table_can_t_be_changed_where_nothing_would_write_it() -> None:
    scene = Scene(echo, mode=Mode.PLAIN)
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.until_ended()
    assert isinstance(scene.claim.stopped, InvariantError)
    assert "transactional" in str(scene.claim.stopped)
    assert scene.done == []
    await scene.release()
