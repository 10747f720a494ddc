"""A reading whose group, state and stage are played by the test."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from tests.unit.engine.fakes import PLACE, FakeRecord

from calstream_core.errors import CalstreamError
from calstream_engine import reading as reading_module
from calstream_engine.claim import Claim
from calstream_engine.configuration import EngineSettings
from calstream_engine.engine import Engine
from calstream_engine.membership import GroupSettings
from calstream_engine.ownership import Owned, Ownership
from calstream_engine.reading import Reading
from calstream_engine.records import Batch, Place


class FakeMembership:
    """A group of one member, whose broker knows what the test says."""

    def __init__(self, _settings: GroupSettings, _listener: object) -> None:
        self.commits: list[dict[Place, int]] = []
        self.commit_failures: list[CalstreamError] = []
        self.committed_before: dict[Place, int] = {}
        self.end: tuple[int, int] = (0, 100)
        self.readable: int | None = None
        self.read: list[tuple[Place, int]] = []
        self.in_flight = 0

    def start(self, _topics: Sequence[str]) -> None:
        """Nothing to join."""

    async def stop(self) -> None:
        """Nothing to leave."""

    def returned(self, count: int) -> None:
        self.in_flight -= count

    def read_from(self, claim: Claim, offset: int) -> None:
        self.read.append((claim.place, offset))

    async def commit(self, offsets: dict[Place, int]) -> None:
        if self.commit_failures:
            raise self.commit_failures.pop(0)
        self.commits.append(offsets)

    async def ends(self, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
        low, high = self.end
        return dict.fromkeys(places, (low, high if self.readable is None else self.readable))

    async def committed(self, places: Sequence[Place]) -> dict[Place, int]:
        return {place: self.committed_before.get(place, -1) for place in places}

    async def high_watermarks(self, places: Sequence[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, self.end[1])


class FakeOwnership(Ownership):
    """Takes partitions over as slowly as the test wants."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.may_restore = asyncio.Event()
        self.may_restore.set()
        self.restoring = asyncio.Event()
        self.failures: list[Exception] = []
        self.writer_failure: Exception | None = None
        self.calls: list[str] = []

    async def refresh(self, owned: Owned) -> None:
        self.calls.append(f"restore {owned.partition}")
        self.restoring.set()
        await self.may_restore.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.calls.append(f"restored {owned.partition}")

    def give_up(self, partition: int) -> "asyncio.Task[None] | None":
        self.calls.append(f"give up {partition}")
        return super().give_up(partition)

    def failure(self, _partition: int) -> Exception | None:
        return self.writer_failure


class FakeStage:
    """Keeps what it is told; releases when the test lets it."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls
        self.may_release = asyncio.Event()
        self.may_release.set()

    def restored(self, claim: Claim) -> None:
        self.calls.append(f"stage restored {claim.place.partition}")

    def put(self, claim: Claim, batch: Batch, done: Callable[[], object]) -> None:
        """Batches are delivered to the test."""

    async def release(self, claim: Claim) -> None:
        await self.may_release.wait()
        self.calls.append(f"stage released {claim.place.partition}")


class ReadingScene:
    """The reading, and what it told and was told."""

    def __init__(self, settings: EngineSettings) -> None:
        self.ownership = FakeOwnership(settings)
        self.stage = FakeStage(self.ownership.calls)
        self.engine = Engine(settings, self.ownership, stages={PLACE.topic: self.stage})
        self.crashes: list[Exception] = []
        self.delivered: list[tuple[Claim, Batch]] = []
        self.reading = Reading(self.engine, self._announce, self._deliver, self.crashes.append)
        self.reading.start([PLACE.topic])
        assert isinstance(self.reading._membership, FakeMembership)
        self.membership: FakeMembership = self.reading._membership

    async def _announce(self, places: Collection[Place]) -> None:
        """Faust's conductor would take note of them."""

    def _deliver(self, claim: Claim, batch: Batch) -> None:
        self.delivered.append((claim, batch))

    async def assign(self, *partitions: int) -> list[Claim]:
        """Assigns partitions and waits until they are restored, or the taking has failed."""
        claims = self.assign_soon(*partitions)
        await self.until_taken()
        return claims

    def assign_soon(self, *partitions: int) -> list[Claim]:
        claims = [Claim(Place(PLACE.topic, partition)) for partition in partitions]
        self.reading.on_assigned(claims)
        return claims

    async def until_taken(self) -> None:
        await asyncio.gather(*self.reading._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def records(self, claim: Claim, *offsets: int) -> Batch:
        """Records are read; the batch that is handed out."""
        records = [FakeRecord(offset, place=claim.place) for offset in offsets]
        batch = Batch(claim.place, records, offsets[-1] + 1)
        self.membership.in_flight += len(batch)
        self.reading.on_batches([(claim, batch)])
        return batch

    def hook(self, name: str) -> Callable[[int], Awaitable[None]]:
        """A hook that takes note of its calls."""

        async def hook(partition: int) -> None:
            self.ownership.calls.append(f"{name} {partition}")

        return hook


@contextmanager
def reading_scene(settings: EngineSettings) -> Iterator[ReadingScene]:
    """For use inside a running loop."""
    with patch.object(reading_module, "Membership", FakeMembership):
        yield ReadingScene(settings)
