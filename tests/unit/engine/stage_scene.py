"""A stage with one partition, whose writer and producer are lists."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from tests.unit.engine.fakes import PLACE, FakeWriter, owner

from calstream_core.kafka import AsyncProducer
from calstream_engine.claim import Claim
from calstream_engine.configuration import EngineSettings, Mode
from calstream_engine.failures import DeadLetterLimit
from calstream_engine.records import Batch
from calstream_engine.stage import Handler, Stage
from calstream_engine.work import Outgoing, Work

Handle = Callable[[Batch, Work], None]


class RecordingHandler:
    """Handles as it is told, and keeps what it was asked."""

    def __init__(self, handle: Handle) -> None:
        self.calls: list[str] = []
        self._handle = handle
        self._news = asyncio.Event()

    async def until(self, call: str) -> None:
        """Waits until it has been asked this."""
        while call not in self.calls:
            self._news.clear()
            await self._news.wait()

    def _called(self, call: str) -> None:
        self.calls.append(call)
        self._news.set()

    def restored(self, partition: int, work: Work) -> None:
        assert work.partition == partition
        self._called("restored")

    def handle(self, batch: Batch, work: Work) -> None:
        self._called("handle " + ",".join((r.value() or b"").decode() for r in batch))
        self._handle(batch, work)

    def committed(self, _partition: int) -> None:
        self._called("committed")

    def rolled_back(self, _partition: int) -> None:
        self._called("rolled back")

    def released(self, _partition: int) -> None:
        self._called("released")


class FakeProducer:
    """Sends into a list; fails as often as it is told to."""

    def __init__(self) -> None:
        self.sent: list[list[Outgoing]] = []
        self.failures: list[Exception] = []
        self.may_confirm = asyncio.Event()
        self.may_confirm.set()

    def send_all(self, records: list[Outgoing]) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._send(records))

    async def _send(self, records: list[Outgoing]) -> None:
        await self.may_confirm.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(records)


class Scene:
    """The stage, its surroundings and what became of the batches."""

    def __init__(
        self,
        handle: Handle,
        *,
        mode: Mode = Mode.TRANSACTIONAL,
        dead_topic: str | None = "dead",
        limit: DeadLetterLimit | None = None,
        max_batch_records: int = 2000,
    ) -> None:
        settings = EngineSettings(
            "totals",
            "127.0.0.1:1",
            mode,
            dead_topic=dead_topic,
            position_table="positions",
            limit=limit or DeadLetterLimit(),
            max_batch_records=max_batch_records,
        )
        self.writer = FakeWriter()
        self.producer = FakeProducer()
        self.handler = RecordingHandler(handle)
        self.crashes: list[Exception] = []
        self.done: list[int] = []
        self.claim = Claim(PLACE)
        self.ownership = owner(settings, self.writer if mode is Mode.TRANSACTIONAL else None)
        self.stage = Stage(
            "add",
            cast(Handler, self.handler),
            settings=settings,
            ownership=self.ownership,
            producer=lambda: cast(AsyncProducer, self.producer),
            crash=self.crashes.append,
        )
        self._settled = asyncio.Event()

    def start(self) -> None:
        self.stage.restored(self.claim)

    def put(self, batch: Batch) -> None:
        def done() -> None:
            self.done.append(batch.next_offset)
            self._settled.set()

        self.stage.put(self.claim, batch, done)

    async def until_done(self, count: int) -> None:
        """Waits until so many batches are done."""
        while len(self.done) < count:
            self._settled.clear()
            await self._settled.wait()

    async def until_ended(self) -> None:
        """Waits until the lane has ended by itself."""
        task = self.stage._lanes[self.claim].task
        assert task is not None
        await asyncio.wait([task])

    async def release(self) -> None:
        self.claim.active = False
        await self.stage.release(self.claim)

    @property
    def written(self) -> list[list[Any]]:
        """What each transaction sent, value by value."""
        return [[one.value for one in work.sent] for work in self.writer.works]

    @property
    def dead(self) -> list[list[bytes | None]]:
        """Which values each transaction buried."""
        return [[one.value for one in work.dead_letters] for work in self.writer.works]


def echo(batch: Batch, work: Work) -> None:
    """Sends every value on; raises at those that begin with `bad`, after some of the work."""
    for record in batch:
        work["truth"].put(record.key() or b"", record.value())
        work.send("out", record.key(), record.value())
        if (record.value() or b"").startswith(b"bad"):
            raise ZeroDivisionError


def echo_plainly(batch: Batch, work: Work) -> None:
    """The same without a table."""
    for record in batch:
        work.send("out", record.key(), record.value())
        if (record.value() or b"").startswith(b"bad"):
            raise ZeroDivisionError
