"""The writer commits all of a work or nothing, in order, and knows when it no longer may."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from confluent_kafka import KafkaError
from tests.unit.engine.fakes import PLACE, POSITIONS, TRUTH
from tests.unit.engine.transactional_scene import (
    WriterScene,
    final,
    must_abort,
    timed_out,
    writer_scene,
)

from calstream_core.errors import Code, InvariantError, UnavailableError
from calstream_engine import writer as writer_module
from calstream_engine.work import position_key
from calstream_engine.writer import FencedError

POSITION = position_key(PLACE.topic)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WriterScene]:
    """A writer that does not pause before it tries a transaction again."""
    monkeypatch.setattr(writer_module, "_RETRY_SECONDS", 0.0)
    with writer_scene() as made:
        yield made


async def test_it_takes_the_partition_over_under_a_name_of_its_own(scene: WriterScene) -> None:
    await scene.writer.open()
    assert scene.log.calls == ["init"]
    assert scene.log.configuration["transactional.id"] == "totals-3"
    await scene.writer.close()


async def test_a_broker_that_does_not_answer_is_told(scene: WriterScene) -> None:
    scene.log.failures["init"] = [timed_out()]
    with pytest.raises(UnavailableError) as caught:
        await scene.writer.open()
    assert caught.value.code is Code.BROKER_UNAVAILABLE
    await scene.writer.close()


async def test_a_work_is_one_transaction_and_then_in_the_stores(scene: WriterScene) -> None:
    await scene.writer.open()
    await scene.writer.write(scene.work(12, a=b"1", b=b"2"))
    await scene.writer.close()
    assert scene.log.transactions == [
        [
            ("positions-log", POSITION, b"12"),
            ("truth-log", b"a", b"1"),
            ("truth-log", b"b", b"2"),
            ("out", b"a", b"1"),
            ("out", b"b", b"2"),
        ]
    ]
    assert dict(scene.stores[TRUTH.name].items()) == {b"a": b"1", b"b": b"2"}
    assert scene.stores[TRUTH.name].checkpoint == 102
    assert scene.stores[POSITIONS.name].get(POSITION) == b"12"
    assert scene.stores[POSITIONS.name].checkpoint == 101


async def test_the_stores_change_only_after_the_commit(scene: WriterScene) -> None:
    await scene.writer.open()
    scene.log.may_commit.clear()
    write = asyncio.create_task(scene.writer.write(scene.work(1, a=b"1")))
    await asyncio.to_thread(scene.log.committing.wait)
    assert scene.stores[TRUTH.name].get(b"a") is None
    assert not write.done()
    scene.log.may_commit.set()
    await write
    assert scene.stores[TRUTH.name].get(b"a") == b"1"
    await scene.writer.close()


async def test_writes_that_wait_together_share_a_transaction_in_their_order(
    scene: WriterScene,
) -> None:
    await scene.writer.open()
    scene.log.may_commit.clear()
    writes = [asyncio.create_task(scene.writer.write(scene.work(1, a=b"1")))]
    await asyncio.to_thread(scene.log.committing.wait)
    for number in range(2, 5):
        work = scene.work(number, a=b"%d" % number)
        writes.append(asyncio.create_task(scene.writer.write(work)))
        await asyncio.sleep(0)
    scene.log.may_commit.set()
    await asyncio.gather(*writes)
    assert scene.log.transactions[1:] == [
        [
            ("positions-log", POSITION, b"4"),
            ("truth-log", b"a", b"2"),
            ("truth-log", b"a", b"3"),
            ("truth-log", b"a", b"4"),
            ("out", b"a", b"2"),
            ("out", b"a", b"3"),
            ("out", b"a", b"4"),
        ]
    ]
    assert scene.stores[TRUTH.name].get(b"a") == b"4"
    assert scene.stores[POSITIONS.name].get(POSITION) == b"4"
    await scene.writer.close()


async def test_a_work_without_a_batch_moves_no_position(scene: WriterScene) -> None:
    await scene.writer.open()
    await scene.writer.write(scene.work(7, a=b"1"))
    await scene.writer.write(scene.work(b=b"2"))
    await scene.writer.close()
    assert scene.log.transactions[1] == [("truth-log", b"b", b"2"), ("out", b"b", b"2")]
    assert scene.stores[POSITIONS.name].get(POSITION) == b"7"


async def test_a_removal_is_a_tombstone_in_the_log_and_gone_from_the_store(
    scene: WriterScene,
) -> None:
    await scene.writer.open()
    await scene.writer.write(scene.work(1, a=b"1"))
    await scene.writer.write(scene.work(2, a=None))
    await scene.writer.close()
    assert ("truth-log", b"a", None) in scene.log.transactions[1]
    assert dict(scene.stores[TRUTH.name].items()) == {}


async def test_a_transaction_that_must_be_aborted_is_written_again(scene: WriterScene) -> None:
    await scene.writer.open()
    scene.log.failures["commit"] = [must_abort(), must_abort()]
    await scene.writer.write(scene.work(1, a=b"1"))
    await scene.writer.close()
    tried = ["begin", "commit", "abort"]
    assert scene.log.calls == ["init", *tried, *tried, "begin", "commit", "close"]
    assert len(scene.log.transactions) == 1
    assert scene.stores[TRUTH.name].checkpoint == 101


async def test_a_commit_that_is_late_is_asked_for_again_and_not_written_again(
    scene: WriterScene,
) -> None:
    await scene.writer.open()
    scene.log.failures["commit"] = [timed_out(), timed_out()]
    await scene.writer.write(scene.work(1, a=b"1"))
    await scene.writer.close()
    assert scene.log.calls == ["init", "begin", "commit", "commit", "commit", "close"]
    assert scene.stores[TRUTH.name].get(b"a") == b"1"


async def test_a_late_abort_is_asked_for_again(scene: WriterScene) -> None:
    await scene.writer.open()
    scene.log.failures = {"commit": [must_abort()], "abort": [timed_out()]}
    await scene.writer.write(scene.work(1, a=b"1"))
    await scene.writer.close()
    assert scene.log.calls[1:-1] == ["begin", "commit", "abort", "abort", "begin", "commit"]


FENCING = [
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
]


@pytest.mark.parametrize("code", FENCING)
@pytest.mark.parametrize("call", ["begin", "commit"])
async def test_a_fenced_writer_writes_nothing_more(
    scene: WriterScene, code: int, call: str
) -> None:
    await scene.writer.open()
    scene.log.failures[call] = [final(code)]
    with pytest.raises(FencedError) as caught:
        await scene.writer.write(scene.work(1, a=b"1"))
    assert caught.value.code is Code.WORKER_FENCED
    calls = list(scene.log.calls)
    with pytest.raises(FencedError):
        await scene.writer.write(scene.work(2, a=b"2"))
    assert scene.log.calls == calls
    assert scene.log.transactions == []
    assert dict(scene.stores[TRUTH.name].items()) == {}
    assert scene.writer.failure is caught.value
    await scene.writer.close()


async def test_an_abort_that_is_fenced_is_fenced(scene: WriterScene) -> None:
    await scene.writer.open()
    scene.log.failures = {
        "commit": [must_abort()],
        "abort": [final(KafkaError._FENCED)],
    }
    with pytest.raises(FencedError):
        await scene.writer.write(scene.work(1, a=b"1"))
    await scene.writer.close()


async def test_any_other_final_failure_is_told_to_everyone_who_waits(scene: WriterScene) -> None:
    await scene.writer.open()
    scene.log.may_commit.clear()
    first = asyncio.create_task(scene.writer.write(scene.work(1, a=b"1")))
    await asyncio.to_thread(scene.log.committing.wait)
    second = asyncio.create_task(scene.writer.write(scene.work(2, a=b"2")))
    await asyncio.sleep(0)
    scene.log.failures["commit"] = [final(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)]
    scene.log.may_commit.set()
    failures = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(failure) for failure in failures] == [UnavailableError, FencedError]
    assert scene.log.transactions == []
    await scene.writer.close()


async def test_a_record_that_its_topic_does_not_take_is_not_tried_for_ever(
    scene: WriterScene,
) -> None:
    await scene.writer.open()
    scene.log.failures["commit"] = [must_abort(KafkaError.MSG_SIZE_TOO_LARGE)]
    with pytest.raises(InvariantError) as caught:
        await scene.writer.write(scene.work(1, a=b"1"))
    assert caught.value.code is Code.RECORD_TOO_LARGE
    assert "max.message.bytes" in caught.value.hint
    await scene.writer.close()


async def test_a_commit_whose_place_in_the_log_is_not_known_is_not_taken_for_nothing(
    scene: WriterScene,
) -> None:
    await scene.writer.open()
    scene.log.reports = False
    with pytest.raises(InvariantError):
        await scene.writer.write(scene.work(1, a=b"1"))
    await scene.writer.close()


async def test_closing_waits_for_the_commit_and_refuses_what_waits(scene: WriterScene) -> None:
    await scene.writer.open()
    scene.log.may_commit.clear()
    first = asyncio.create_task(scene.writer.write(scene.work(1, a=b"1")))
    await asyncio.to_thread(scene.log.committing.wait)
    second = asyncio.create_task(scene.writer.write(scene.work(2, a=b"2")))
    await asyncio.sleep(0)
    closing = asyncio.create_task(scene.writer.close())
    await asyncio.sleep(0)
    assert not closing.done()
    scene.log.may_commit.set()
    await closing
    await first
    with pytest.raises(FencedError):
        await second
    with pytest.raises(FencedError):
        await scene.writer.write(scene.work(3, a=b"3"))
    assert scene.stores[TRUTH.name].get(b"a") == b"1"
    assert scene.log.calls[-1] == "close"


async def test_closing_while_the_broker_is_away_waits_for_one_answer_only(
    scene: WriterScene,
) -> None:
    await scene.writer.open()
    scene.log.may_commit.clear()
    scene.log.failures["commit"] = [timed_out(), timed_out()]
    write = asyncio.create_task(scene.writer.write(scene.work(1, a=b"1")))
    await asyncio.to_thread(scene.log.committing.wait)
    closing = asyncio.create_task(scene.writer.close())
    await asyncio.sleep(0)
    scene.log.may_commit.set()
    with pytest.raises(FencedError):
        await write
    await closing
    assert scene.log.calls == ["init", "begin", "commit", "close"]
    assert dict(scene.stores[TRUTH.name].items()) == {}


async def test_a_work_that_changes_nothing_is_a_transaction_of_its_position(
    scene: WriterScene,
) -> None:
    await scene.writer.open()
    await scene.writer.write(scene.work(5))
    await scene.writer.close()
    assert scene.log.transactions == [[("positions-log", POSITION, b"5")]]
    assert scene.stores[POSITIONS.name].get(POSITION) == b"5"
