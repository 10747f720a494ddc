"""A stage makes every record's effects real, or tells which record is at fault, or stops."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engine.fakes import PLACE, POSITIONS, batch_of
from tests.unit.engine.stage_scene import Scene, echo

from calstream_core.errors import Code, InvariantError, RecordError, UnavailableError
from calstream_engine.failures import DeadLetterLimit, WorkerStopError
from calstream_engine.records import Batch
from calstream_engine.work import Work, position_key
from calstream_engine.writer import FencedError


def _position(scene: Scene) -> bytes | None:
    store = scene.ownership.owned(PLACE.partition).stores[POSITIONS.name]
    return store.get(position_key(PLACE.topic))


async def test_a_batch_is_one_transaction_with_its_position() -> None:
    scene = Scene(echo)
    scene.start()
    scene.put(batch_of(b"1", b"2", first=10))
    await scene.until_done(1)
    await scene.release()
    assert scene.written == [[b"1", b"2"]]
    assert _position(scene) == b"12"
    assert scene.handler.calls == ["restored", "handle 1,2", "committed", "released"]


@settings(max_examples=40)
@given(bad=st.lists(st.booleans(), min_size=1, max_size=30))
def test_halving_finds_exactly_the_records_at_fault(bad: list[bool]) -> None:
    async def run() -> Scene:
        scene = Scene(echo)
        scene.start()
        scene.put(batch_of(*values))
        await scene.until_done(1)
        await scene.release()
        return scene

    values = [b"bad%d" % n if is_bad else b"%d" % n for n, is_bad in enumerate(bad)]
    scene = asyncio.run(run())
    written = [value for values in scene.written for value in values]
    dead = [value for values in scene.dead for value in values]
    assert written == [value for value in values if not value.startswith(b"bad")]
    assert dead == [value for value in values if value.startswith(b"bad")]
    assert scene.done == [len(values)]
    assert _position(scene) == b"%d" % len(values)
    assert scene.crashes == []


async def test_the_part_before_the_record_at_fault_is_real_before_what_follows_is_handled() -> None:
    scene = Scene(echo)
    scene.start()
    scene.put(batch_of(b"1", b"2", b"bad", b"4"))
    await scene.until_done(1)
    await scene.release()
    assert scene.handler.calls == [
        "restored",
        "handle 1,2,bad,4",
        "rolled back",
        "handle 1,2",
        "committed",
        "handle bad,4",
        "rolled back",
        "handle bad",
        "rolled back",
        "committed",
        "handle 4",
        "committed",
        "released",
    ]
    assert [work.position for work in scene.writer.works] == [
        ("orders", 2),
        ("orders", 3),
        ("orders", 4),
    ]
    letter = scene.writer.works[1].dead_letters[0]
    assert dict(letter.headers or [])["error_code"] == b"record-failed"
    assert dict(letter.headers or [])["error_message"] == b"ZeroDivisionError"
    assert scene.writer.works[1].sent == []


async def test_an_error_with_a_code_keeps_it() -> None:
    def refuse(_batch: Batch, _work: Work) -> None:
        raise RecordError(Code.WORKSPACE_MISMATCH, "of another workspace", field="key")

    scene = Scene(refuse)
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.until_done(1)
    await scene.release()
    told = dict(scene.writer.works[0].dead_letters[0].headers or [])
    assert (told["error_code"], told["error_field"]) == (b"workspace-mismatch", b"key")


async def test_a_record_that_the_handler_rejects_does_not_halve_the_batch() -> None:
    def pick(batch: Batch, work: Work) -> None:
        for record in batch:
            if record.value() == b"bad":
                work.reject(record, RecordError(Code.TIME_INVALID, "no"))
            else:
                work.send("out", None, record.value())

    scene = Scene(pick)
    scene.start()
    scene.put(batch_of(b"1", b"bad", b"3"))
    await scene.until_done(1)
    await scene.release()
    assert scene.written == [[b"1", b"3"]]
    assert scene.dead == [[b"bad"]]


async def test_what_comes_in_while_a_batch_is_committed_becomes_the_next_batch() -> None:
    scene = Scene(echo)
    scene.writer.may_commit.clear()
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.writer.waiting.wait()
    for number in range(1, 5):
        scene.put(batch_of(b"%d" % (number + 1), first=number))
    scene.writer.may_commit.set()
    await scene.until_done(5)
    await scene.release()
    assert scene.written == [[b"1"], [b"2", b"3", b"4", b"5"]]
    assert scene.done == [1, 2, 3, 4, 5]


async def test_a_joined_batch_is_never_larger_than_the_limit() -> None:
    scene = Scene(echo, max_batch_records=3)
    scene.writer.may_commit.clear()
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.writer.waiting.wait()
    scene.put(batch_of(b"2", b"3", first=1))
    scene.put(batch_of(b"4", b"5", first=3))
    scene.put(batch_of(b"6", first=5))
    scene.writer.may_commit.set()
    await scene.until_done(4)
    await scene.release()
    assert scene.written == [[b"1"], [b"2", b"3"], [b"4", b"5", b"6"]]


@pytest.mark.parametrize(
    "failure",
    [
        FencedError(Code.WORKER_FENCED, "gone"),
        InvariantError(Code.INVARIANT_BROKEN, "strange"),
    ],
    ids=["fenced", "invariant"],
)
async def test_a_commit_that_fails_for_good_stops_the_partition(failure: Exception) -> None:
    scene = Scene(echo)
    scene.writer.failure = failure
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.until_ended()
    scene.put(batch_of(b"2", first=1))
    assert scene.claim.stopped is failure
    assert (scene.done, scene.crashes) == ([], [])
    assert scene.handler.calls == ["restored", "handle 1", "rolled back"]
    await scene.release()
    assert scene.handler.calls[-1] == "released"


async def test_a_broker_that_is_away_for_good_ends_the_worker() -> None:
    scene = Scene(echo)
    scene.writer.failure = UnavailableError(Code.BROKER_UNAVAILABLE, "away")
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.until_ended()
    assert scene.crashes == [scene.writer.failure]
    assert scene.handler.calls[-1] == "rolled back"
    await scene.release()


async def test_an_invariant_of_the_handler_stops_the_partition_without_halving() -> None:
    def break_it(_batch: Batch, _work: Work) -> None:
        raise InvariantError(Code.INVARIANT_BROKEN, "strange")

    scene = Scene(break_it)
    scene.start()
    scene.put(batch_of(b"1", b"2"))
    await scene.until_ended()
    assert isinstance(scene.claim.stopped, InvariantError)
    assert scene.handler.calls == ["restored", "handle 1,2", "rolled back"]
    assert (scene.done, scene.crashes, scene.writer.works) == ([], [], [])
    await scene.release()


async def test_without_a_place_for_dead_letters_the_worker_ends_before_the_record() -> None:
    scene = Scene(echo, dead_topic=None)
    scene.start()
    scene.put(batch_of(b"1", b"bad", b"3"))
    await scene.until_ended()
    assert scene.written == [[b"1"]]
    assert _position(scene) == b"1"
    assert scene.done == []
    assert [type(error) for error in scene.crashes] == [WorkerStopError]
    assert "offset 1 of orders[3]" in str(scene.crashes[0])
    await scene.release()


async def test_too_many_dead_letters_end_the_worker_and_the_last_is_not_written() -> None:
    scene = Scene(echo, limit=DeadLetterLimit(consecutive=2))
    scene.start()
    scene.put(batch_of(b"bad1", b"bad2", b"bad3", b"4"))
    await scene.until_ended()
    assert scene.dead == [[b"bad1"], [b"bad2"]]
    assert _position(scene) == b"2"
    assert [str(getattr(error, "code", "")) for error in scene.crashes] == ["dead-letter-limit"]
    assert scene.done == []
    await scene.release()


async def test_a_release_brings_the_commit_to_an_end_and_abandons_what_waits() -> None:
    scene = Scene(echo)
    scene.writer.may_commit.clear()
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.writer.waiting.wait()
    scene.put(batch_of(b"2", first=1))
    release = asyncio.create_task(scene.release())
    await asyncio.sleep(0)
    assert not release.done()
    scene.writer.may_commit.set()
    await release
    assert scene.written == [[b"1"]]
    assert scene.done == [1]
    assert scene.handler.calls[-2:] == ["committed", "released"]


async def test_a_release_of_a_lane_that_waits_for_records_is_quick() -> None:
    scene = Scene(echo)
    scene.start()
    await asyncio.sleep(0)
    await scene.release()
    assert scene.handler.calls == ["restored", "released"]


async def test_a_release_that_takes_too_long_forgets_the_partition_all_the_same() -> None:
    scene = Scene(echo)
    scene.writer.may_commit.clear()
    scene.start()
    scene.put(batch_of(b"1"))
    await scene.writer.waiting.wait()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await scene.release()
    assert scene.handler.calls == ["restored", "handle 1", "rolled back", "released"]
    assert scene.done == []


async def test_batches_of_a_claim_that_has_gone_are_passed_over() -> None:
    scene = Scene(echo)
    scene.start()
    await scene.release()
    scene.put(batch_of(b"1"))
    await scene.release()
    assert scene.handler.calls == ["restored", "released"]
    assert scene.done == []
