"""Partitions come, are read, and go: in an order in which nothing is lost and nothing hangs."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.engine.fakes import PLACE
from tests.unit.engine.reading_scene import ReadingScene, reading_scene

from calstream_core.errors import Code, InvariantError, UnavailableError
from calstream_engine import reading as reading_module
from calstream_engine.claim import Claim
from calstream_engine.configuration import EngineSettings
from calstream_engine.writer import FencedError

SETTINGS = EngineSettings(
    "totals", "127.0.0.1:1", release_seconds=0.05, stall_seconds=60, session_timeout_seconds=1
)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ReadingScene]:
    monkeypatch.setattr(reading_module, "_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(reading_module, "_LEAST_LEAVING_SECONDS", 0.05)
    with reading_scene(SETTINGS) as made:
        yield made
        await made.reading.leave()


def _hand_out(scene: ReadingScene, claim: Claim, *offsets: int) -> None:
    """Hands a batch out as the consumer does, with a span for all of it."""
    batch = scene.records(claim, *offsets)
    claim.watermark.begin(batch.next_offset)


async def test_a_partition_is_restored_before_it_is_read(scene: ReadingScene) -> None:
    scene.engine.assigned.append(scene.hook("assigned"))
    scene.ownership.may_restore.clear()
    (claim,) = scene.assign_soon(3)
    await scene.ownership.restoring.wait()
    assert scene.membership.read == []
    assert scene.reading.fault() == "restoring orders[3]"
    scene.ownership.may_restore.set()
    await scene.until_taken()
    assert scene.membership.read == [(claim.place, 0)]
    assert scene.reading.fault() is None
    assert scene.ownership.calls == ["restore 3", "restored 3", "stage restored 3", "assigned 3"]


@pytest.mark.parametrize(
    ("committed", "end", "expected"),
    [
        (-1, (0, 100), 0),
        (-1, (40, 100), 40),
        (50, (40, 100), 50),
        (0, (0, 0), 0),
        (7, (40, 90), 40),
    ],
    ids=["nothing committed", "its beginning has expired", "committed", "empty", "expired"],
)
async def test_reading_goes_on_where_it_was(
    scene: ReadingScene, committed: int, end: tuple[int, int], expected: int
) -> None:
    scene.membership.committed_before = {PLACE: committed}
    scene.membership.end = end
    await scene.assign(3)
    assert scene.membership.read == [(PLACE, expected)]


async def test_a_log_that_is_shorter_than_what_was_done_ends_the_worker(
    scene: ReadingScene,
) -> None:
    scene.membership.committed_before = {PLACE: 101}
    await scene.assign(3)
    assert [type(error) for error in scene.crashes] == [InvariantError]
    assert scene.membership.read == []


async def test_a_restore_that_finds_no_broker_is_tried_again(scene: ReadingScene) -> None:
    away = UnavailableError(Code.BROKER_UNAVAILABLE, "away")
    scene.ownership.failures = [away, away]
    await scene.assign(3)
    assert scene.membership.read == [(PLACE, 0)]
    assert scene.ownership.calls.count("restore 3") == 3


async def test_a_partition_that_goes_while_it_is_restored_is_forgotten(
    scene: ReadingScene,
) -> None:
    scene.ownership.may_restore.clear()
    claims = scene.assign_soon(3)
    await scene.ownership.restoring.wait()
    revoked = asyncio.create_task(scene.reading.on_revoked(claims, lost=False))
    await asyncio.sleep(0)
    scene.ownership.may_restore.set()
    assert await revoked == {}
    await scene.until_taken()
    assert scene.crashes == []
    assert scene.membership.read == []
    assert scene.ownership.partitions == []


async def test_what_is_done_is_committed_and_only_once(scene: ReadingScene) -> None:
    (claim,) = await scene.assign(3)
    _hand_out(scene, claim, 0, 1, 2)
    await scene.reading.commit()
    assert scene.membership.commits == [{PLACE: 0}]  # there was none: now there is one
    span = claim.watermark._in_flight[0]
    scene.reading.acknowledged(claim, span, 3)
    await scene.reading.commit()
    await scene.reading.commit()
    assert scene.membership.commits == [{PLACE: 0}, {PLACE: 3}]
    assert scene.membership.in_flight == 0


async def test_a_commit_that_failed_is_told_again(scene: ReadingScene) -> None:
    (claim,) = await scene.assign(3)
    claim.watermark.reach(5)
    scene.membership.commit_failures = [UnavailableError(Code.BROKER_UNAVAILABLE, "away")]
    with pytest.raises(UnavailableError):
        await scene.reading.commit()
    await scene.reading.commit()
    assert scene.membership.commits == [{PLACE: 5}]


async def test_a_hole_at_the_end_is_passed_once_everything_is_done(scene: ReadingScene) -> None:
    (claim,) = await scene.assign(3)
    _hand_out(scene, claim, 0)
    scene.reading.on_end([(claim, 9)])
    assert claim.watermark.position == 0
    scene.reading.acknowledged(claim, claim.watermark._in_flight[0], 1)
    assert claim.watermark.position == 9


async def test_records_that_were_passed_over_never_count_as_read(scene: ReadingScene) -> None:
    (claim,) = await scene.assign(3)
    scene.reading.halt()
    scene.records(claim, 0, 1)
    scene.reading.on_end([(claim, 2)])
    assert scene.delivered == []
    assert scene.membership.in_flight == 0
    assert await scene.reading.on_revoked([claim], lost=False) == {PLACE: 0}


async def test_a_stopped_partition_takes_nothing_more_and_is_not_ready(
    scene: ReadingScene,
) -> None:
    (claim,) = await scene.assign(3)
    claim.stopped = InvariantError(Code.INVARIANT_BROKEN, "strange")
    scene.records(claim, 0, 1)
    scene.reading.on_end([(claim, 2)])
    assert scene.delivered == []
    assert claim.watermark.position == 0
    assert "strange" in (scene.reading.fault() or "")


async def test_what_was_read_before_a_seek_is_not_handed_out_again(scene: ReadingScene) -> None:
    (claim,) = await scene.assign(3)
    _hand_out(scene, claim, 0, 1)
    scene.records(claim, 0, 1)
    assert len(scene.delivered) == 1
    assert scene.membership.in_flight == 2


async def test_a_revoke_finishes_then_commits_then_gives_the_partition_up(
    scene: ReadingScene,
) -> None:
    scene.engine.revoked.append(scene.hook("revoked"))
    (claim,) = await scene.assign(3)
    _hand_out(scene, claim, 0, 1)
    scene.stage.may_release.clear()
    scene.ownership.calls.clear()
    revoked = asyncio.create_task(scene.reading.on_revoked([claim], lost=False))
    await asyncio.sleep(0)
    scene.reading.acknowledged(claim, claim.watermark._in_flight[0], 2)
    scene.stage.may_release.set()
    assert await revoked == {PLACE: 2}
    assert scene.ownership.calls == ["stage released 3", "revoked 3", "give up 3"]
    assert scene.membership.in_flight == 0


async def test_a_revoke_takes_no_longer_than_its_budget(scene: ReadingScene) -> None:
    (claim,) = await scene.assign(3)
    _hand_out(scene, claim, 0, 1)
    scene.stage.may_release.clear()
    assert await scene.reading.on_revoked([claim], lost=False) == {PLACE: 0}
    assert claim.ended
    assert scene.membership.in_flight == 0
    assert scene.ownership.calls[-1] == "give up 3"
    # what is acknowledged too late no longer counts
    scene.reading.acknowledged(claim, claim.watermark._in_flight[0], 2)
    assert claim.watermark.position == 0
    assert scene.membership.in_flight == 0


async def test_a_hook_that_never_returns_holds_up_no_rebalance(scene: ReadingScene) -> None:
    async def for_ever(_partition: int) -> None:
        await asyncio.Event().wait()

    scene.engine.revoked += [scene.hook("revoked"), for_ever]
    claims = await scene.assign(3, 4)
    await scene.reading.on_revoked(claims, lost=False)
    assert {"revoked 3", "revoked 4", "give up 3", "give up 4"} <= set(scene.ownership.calls)


async def test_a_hook_that_fails_ends_the_worker_and_holds_up_nothing(
    scene: ReadingScene,
) -> None:
    async def fail(_partition: int) -> None:
        raise ZeroDivisionError

    scene.engine.revoked += [fail, scene.hook("revoked")]
    (claim,) = await scene.assign(3)
    claim.watermark.reach(5)
    assert await scene.reading.on_revoked([claim], lost=False) == {PLACE: 5}
    assert scene.ownership.calls[-2:] == ["revoked 3", "give up 3"]
    assert [type(error) for error in scene.crashes] == [ZeroDivisionError]


async def test_a_hook_of_the_end_waits_for_that_of_the_beginning(scene: ReadingScene) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(partition: int) -> None:
        begun.set()
        await may_go_on.wait()
        scene.ownership.calls.append(f"assigned {partition}")

    scene.engine.assigned.append(slow)
    scene.engine.revoked.append(scene.hook("revoked"))
    claims = scene.assign_soon(3)
    await begun.wait()
    revoked = asyncio.create_task(scene.reading.on_revoked(claims, lost=False))
    await asyncio.sleep(0)
    may_go_on.set()
    await revoked
    assert scene.ownership.calls[-3:] == ["assigned 3", "revoked 3", "give up 3"]
    await scene.until_taken()
    assert scene.membership.read == []


async def test_what_is_lost_is_not_committed(scene: ReadingScene) -> None:
    (claim,) = await scene.assign(3)
    claim.watermark.reach(5)
    assert await scene.reading.on_revoked([claim], lost=True) == {}
    assert scene.ownership.calls[-1] == "give up 3"


async def test_a_partition_that_comes_back_is_another_claim(scene: ReadingScene) -> None:
    (old,) = await scene.assign(3)
    _hand_out(scene, old, 0, 1)
    await scene.reading.on_revoked([old], lost=False)
    (new,) = await scene.assign(3)
    scene.records(old, 2, 3)
    scene.reading.on_end([(old, 9)])
    assert [claim for claim, _ in scene.delivered] == [old]
    assert new.watermark.position == 0
    _hand_out(scene, new, 0, 1)
    assert scene.delivered[-1][0] is new


async def test_lag_without_movement_ends_the_worker(
    scene: ReadingScene,
) -> None:
    (claim,) = await scene.assign(3)
    await scene.reading.measure()
    assert (scene.crashes, scene.reading.standstill()) == ([], None)
    claim.moved_at -= 61
    assert "stands still at 0 with 100 left" in (scene.reading.standstill() or "")
    await scene.reading.measure()
    assert [getattr(error, "code", None) for error in scene.crashes] == [Code.WORKER_STALLED]


async def test_a_worker_that_waits_for_somebody_s_open_transaction_is_not_ended(
    scene: ReadingScene,
) -> None:
    (claim,) = await scene.assign(3)
    claim.watermark.reach(90)
    scene.membership.readable = 90
    for _ in range(2):
        claim.moved_at -= 61
        await scene.reading.measure()
        assert scene.reading.standstill() is None
    assert scene.crashes == []
    scene.membership.readable = 91
    claim.moved_at -= 61
    await scene.reading.measure()
    assert [getattr(error, "code", None) for error in scene.crashes] == [Code.WORKER_STALLED]


async def test_a_worker_without_lag_is_never_ended(
    scene: ReadingScene,
) -> None:
    (claim,) = await scene.assign(3)
    claim.watermark.reach(100)
    await scene.reading.measure()
    claim.moved_at -= 1000
    await scene.reading.measure()
    assert (scene.crashes, scene.reading.standstill()) == ([], None)


async def test_who_is_fenced_and_hears_nothing_from_the_group_ends_soon(
    scene: ReadingScene,
) -> None:
    (claim,) = await scene.assign(3)
    claim.watermark.reach(100)
    scene.ownership.writer_failure = FencedError(Code.WORKER_FENCED, "gone")
    await scene.reading.measure()
    assert scene.crashes == []
    assert "gone" in (scene.reading.fault() or "")
    claim.moved_at -= 3
    await scene.reading.measure()
    assert scene.crashes == [scene.ownership.writer_failure]


async def test_a_worker_without_partitions_is_ready_once_the_group_has_told(
    scene: ReadingScene,
) -> None:
    assert scene.reading.fault() == "no partitions yet"
    await scene.assign()
    assert scene.reading.fault() is None
