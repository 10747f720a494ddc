"""What goes wrong at an end spoils no beginning: partitions go, come again, are read twice."""

from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError
from tests.unit.engine.fakes import PLACE, FakeRecord
from tests.unit.engine.reading_scene import FakeMembership, FakeOwnership, reading_scene
from tests.unit.engine.transactional_scene import final, writer_scene

from calstream_engine.configuration import EngineSettings
from calstream_engine.ownership import Owned
from calstream_engine.records import Batch, Place, offset_of
from calstream_engine.state.memory import MemoryStore
from calstream_engine.writer import PartitionWriter

SETTINGS = EngineSettings("totals", "127.0.0.1:1", release_seconds=0.05)


class ClosedStore(MemoryStore):
    """Takes note of its end."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class StuckWriter:
    """Fails when it is closed, in a way that nobody thought of."""

    async def close(self) -> None:
        raise RuntimeError("it does not close")


async def test_a_fenced_writer_closes_all_the_same() -> None:
    with writer_scene() as scene:
        await scene.writer.open()
        scene.log.failures["close"] = [final(KafkaError._FENCED)]
        await scene.writer.close()
        assert scene.log.calls == ["init", "close"]


async def test_stores_are_closed_even_if_their_writer_does_not_close() -> None:
    ownership = FakeOwnership(SETTINGS)
    store = ClosedStore()
    writer: PartitionWriter = StuckWriter()  # type: ignore[assignment]  # a fake one
    ownership._owned[3] = Owned(3, stores={"totals": store}, writer=writer)
    leaving = ownership.give_up(3)
    assert leaving is not None
    with pytest.raises(RuntimeError):
        await leaving
    assert store.is_closed
    ownership._leaving.clear()


async def test_records_that_are_read_twice_are_handed_out_once() -> None:
    with reading_scene(SETTINGS) as scene:
        (claim,) = await scene.assign(PLACE.partition)
        for offsets in ((3, 4, 7), (0, 3, 4), (4, 7, 8, 9), (9,), (12,)):
            scene.records(claim, *offsets)
            if offsets[-1] >= claim.watermark.read_to:
                claim.watermark.begin(offsets[-1] + 1)  # as whoever delivers it does
        handed_out = [[offset_of(one) for one in batch] for _, batch in scene.delivered]
        assert handed_out == [[3, 4, 7], [8, 9], [12]]
        assert scene.membership.in_flight == claim.records_in_flight == 6
        await scene.reading.leave()


async def test_nothing_is_handed_out_before_the_state_is_there() -> None:
    with reading_scene(SETTINGS) as scene:
        scene.ownership.may_restore.clear()
        (claim,) = scene.assign_soon(PLACE.partition)
        scene.records(claim, 0, 1, 2)
        assert scene.delivered == []
        assert scene.membership.in_flight == 0
        scene.ownership.may_restore.set()
        await scene.until_taken()
        await scene.reading.leave()


async def test_a_group_that_goes_on_while_it_is_asked_has_not_gone_past_the_end() -> None:
    with reading_scene(SETTINGS) as scene:

        class Asleep(FakeMembership):
            """While the second answer is waited for, others do ten records more."""

            asked = 0

            async def ends(self, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
                self._wake()
                return dict.fromkeys(places, (0, 90 + self.asked * 10))

            async def committed(self, places: Sequence[Place]) -> dict[Place, int]:
                self._wake()
                return dict.fromkeys(places, 90 + self.asked * 10)

            def _wake(self) -> None:
                self.asked += 1

        asleep = Asleep(SETTINGS.group(), scene.reading)
        scene.reading._membership = asleep  # type: ignore[assignment]  # a fake one
        await scene.assign(PLACE.partition)
        assert scene.crashes == []
        assert asleep.read == [(PLACE, 100)]
        await scene.reading.leave()


@pytest.mark.parametrize(
    ("offset", "left"), [(0, [2, 5, 6]), (2, [2, 5, 6]), (3, [5, 6]), (6, [6]), (7, [])]
)
def test_a_batch_since_an_offset_is_its_rest(offset: int, left: list[int]) -> None:
    batch = Batch(PLACE, [FakeRecord(number) for number in (2, 5, 6)], 20)
    rest = batch.since(offset)
    assert [offset_of(one) for one in rest or ()] == left
    assert rest is None or rest.next_offset == 20
