"""A stage: a function from a batch and the state to writes, run over a topic.

    def add(batch: Batch, work: Work) -> None:
        for record in batch:
            total = int(work[totals].get(record.key()) or 0) + int(record.value())
            work[totals].put(record.key(), b"%d" % total)
            work.send("totals", record.key(), b"%d" % total)

The function is pure: it changes nothing but the work, so that the engine may drop a work and ask
again. Each partition has a lane: its batches are handled one after the other, and what came in
while one was being committed becomes the next batch.

If the function raises, the batch is halved until the record at fault is alone; that one goes to the
dead letters and the others are handled. An `InvariantError` is a failure of ours: it stops the
partition. Too many dead letters, or one where the app has no place for them, end the worker.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import structlog

from calstream_core.errors import (
    CalstreamError,
    Code,
    InvariantError,
    RecordError,
    UnavailableError,
)
from calstream_core.kafka import AsyncProducer
from calstream_core.metrics import DEAD_LETTERS, STAGE_EVENTS, STAGE_SECONDS
from calstream_engine.claim import Claim
from calstream_engine.configuration import EngineSettings
from calstream_engine.failures import DeadLetterGuard, WorkerStopError, dead_letter
from calstream_engine.ownership import Ownership
from calstream_engine.records import Batch, joined
from calstream_engine.work import Work
from calstream_engine.writer import FencedError, PartitionWriter

_RETRY_SECONDS = 1.0
_PLAIN_BATCHES_IN_FLIGHT = 4
_log = structlog.get_logger()

Handle = Callable[[Batch, Work], None]
"""Handles a batch by writing into the work. May be asked again about the same records."""


class Handler(Protocol):
    """A stage that keeps something of its own beside its tables, derived from them."""

    def restored(self, partition: int, work: Work) -> None:
        """A partition is ours and its tables are restored; `work` is to read them only."""

    def handle(self, batch: Batch, work: Work) -> None:
        """See `Handle`."""

    def committed(self, partition: int) -> None:
        """The work of the last `handle` is durable and in the tables."""

    def rolled_back(self, partition: int) -> None:
        """The work of the last `handle` was dropped: as if it had not been asked."""

    def released(self, partition: int) -> None:
        """A partition is no longer ours."""


class StatelessHandler:
    """A function as a handler."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle

    def restored(self, partition: int, work: Work) -> None:
        """Nothing to restore."""

    def committed(self, partition: int) -> None:
        """Nothing to keep."""

    def rolled_back(self, partition: int) -> None:
        """Nothing to drop."""

    def released(self, partition: int) -> None:
        """Nothing to forget."""


Done = Callable[[], object]
"""Tells that a batch is done."""


class Lane:
    """The batches of one claim, waiting for their turn."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.waiting: list[tuple[Batch, Done]] = []
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Stage:
    """Runs a handler over the batches of one source topic.

    Args:
        name: in metrics, logs and dead letters.
        handler: the function, or the handler.
        settings: the app's.
        ownership: the app's state.
        producer: for the writes of plain mode.
        crash: ends the app.
    """

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        settings: EngineSettings,
        ownership: Ownership,
        producer: Callable[[], AsyncProducer],
        crash: Callable[[Exception], None],
    ) -> None:
        self.name = name
        self._handler = handler
        self._settings = settings
        self._ownership = ownership
        self._producer = producer
        self._crash = crash
        self._guard = DeadLetterGuard(settings.limit)
        self._lanes: dict[Claim, Lane] = {}

    def restored(self, claim: Claim) -> None:
        """The claim's partition is ready; its batches may come."""
        partition = claim.place.partition
        self._handler.restored(partition, self._ownership.work(partition))
        lane = self._lanes[claim] = Lane(claim)
        lane.task = asyncio.create_task(self._run(lane))

    def put(self, claim: Claim, batch: Batch, done: Done) -> None:
        """Takes a batch; `done` is called once all its effects are durable."""
        lane = self._lanes.get(claim)
        if lane is not None:
            lane.waiting.append((batch, done))
            lane.news.set()

    async def release(self, claim: Claim) -> None:
        """Brings what is being committed to an end and abandons the rest."""
        lane = self._lanes.pop(claim, None)
        if lane is None:
            return
        lane.news.set()
        try:
            if lane.task is not None:
                await asyncio.gather(lane.task, return_exceptions=True)
        finally:  # also when the time for it is over
            self._handler.released(claim.place.partition)

    async def _run(self, lane: Lane) -> None:
        writer = self._ownership.owned(lane.claim.place.partition).writer
        try:
            if writer is None:
                await self._run_plain(lane)
            else:
                while (taken := await self._take(lane)) is not None:
                    batch, done = taken
                    await self._transact(batch, writer)
                    done()
        except FencedError as error:
            # the group will tell that the partition has gone; if it doesn't, the worker ends
            _log.warning("fenced", stage=self.name, place=str(lane.claim.place), error=str(error))
            lane.claim.stopped = error
        except WorkerStopError as error:
            _log.critical("worker stopped", stage=self.name, error=str(error))
            lane.claim.stopped = error
            self._crash(error)
        except InvariantError as error:
            _log.critical(
                "partition stopped", stage=self.name, place=str(lane.claim.place), error=str(error)
            )
            lane.claim.stopped = error
        except Exception as error:  # noqa: BLE001 - ends the app
            _log.critical("stage failed", stage=self.name, error=str(error))
            lane.claim.stopped = error
            self._crash(error)

    async def _take(self, lane: Lane) -> tuple[Batch, Done] | None:
        """What waits, as one batch of at most the limit; None once the claim has ended."""
        while lane.claim.active:
            if lane.waiting:
                count = size = 0
                for batch, _ in lane.waiting:
                    if count and size + len(batch) > self._settings.max_batch_records:
                        break
                    count += 1
                    size += len(batch)
                taken, lane.waiting = lane.waiting[:count], lane.waiting[count:]

                def done(taken: Sequence[tuple[Batch, Done]] = taken) -> None:
                    for _, one in taken:
                        one()

                return joined([batch for batch, _ in taken]), done
            lane.news.clear()
            await lane.news.wait()
        return None

    async def _transact(self, batch: Batch, writer: PartitionWriter) -> None:
        started = time.perf_counter()
        for part, work in self._handled(batch):
            work.position = (part.place.topic, part.next_offset)
            try:
                await writer.write(work)
            except BaseException:
                self._handler.rolled_back(part.partition)
                raise
            self._handler.committed(part.partition)
            self._observe(work, len(part), started)

    def _handled(self, batch: Batch) -> Iterator[tuple[Batch, Work]]:
        """Yields parts of a batch with their work; the next is handled after the last is real."""
        work = self._ownership.work(batch.partition)
        failure = self._failure(batch, work)
        if failure is None:
            yield batch, work
        elif len(batch) > 1:
            for half in batch.halves():
                yield from self._handled(half)
        else:
            yield batch, self._rejected(batch, failure)

    def _failure(self, batch: Batch, work: Work) -> Exception | None:
        """Handles a batch; why it failed, if that is about one of its records."""
        try:
            self._handler.handle(batch, work)
            self._bury(work, batch)
        except (InvariantError, UnavailableError):
            self._handler.rolled_back(batch.partition)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about one of the records
            self._handler.rolled_back(batch.partition)
            return error
        return None

    def _rejected(self, batch: Batch, error: Exception) -> Work:
        work = self._ownership.work(batch.partition)
        if not isinstance(error, CalstreamError):
            _log.error("record failed", stage=self.name, place=str(batch.place), exc_info=error)
            error = RecordError(Code.RECORD_FAILED, type(error).__name__)
        work.reject(batch.records[0], error)
        self._bury(work, batch)
        return work

    def _bury(self, work: Work, batch: Batch) -> None:
        rejected = work.rejected
        count = len({id(one.record) for one in rejected})
        self._guard.check(batch.partition, handled=len(batch) - count, rejected=count)
        for record, error in rejected:
            topic = self._settings.dead_topic
            if topic is None:
                raise WorkerStopError(
                    error.code,
                    f"{error.message} (offset {record.offset()} of {batch.place})",
                    hint="The app has no topic for dead letters, so it stops.",
                )
            work.dead_letters.append(dead_letter(topic, self.name, record, error))

    async def _run_plain(self, lane: Lane) -> None:
        room = asyncio.Semaphore(_PLAIN_BATCHES_IN_FLIGHT)
        failure: Exception | None = None
        try:
            async with asyncio.TaskGroup() as in_flight:
                while (taken := await self._take(lane)) is not None:
                    batch, done = taken
                    await room.acquire()
                    started = time.perf_counter()
                    works = []
                    try:
                        for part, work in self._handled(batch):
                            self._handler.committed(part.partition)
                            works.append((work, len(part)))
                    except Exception as error:  # noqa: BLE001 - raised once what was sent is at its end
                        failure = error
                        break
                    in_flight.create_task(self._deliver(lane, works, done, room, started))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        if failure is not None:
            raise failure

    async def _deliver(
        self,
        lane: Lane,
        works: Sequence[tuple[Work, int]],
        done: Done,
        room: asyncio.Semaphore,
        started: float,
    ) -> None:
        """Sends until the broker has confirmed everything: an outage skips no record."""
        try:
            while True:
                try:
                    await self._producer().send_all(
                        [one for work, _ in works for one in (*work.sent, *work.dead_letters)]
                    )
                except UnavailableError as error:
                    if not lane.claim.active:
                        return
                    _log.warning("waiting", stage=self.name, error=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)
                else:
                    break
            for work, count in works:
                self._observe(work, count, started)
            done()
        finally:
            room.release()

    def _observe(self, work: Work, count: int, started: float) -> None:
        STAGE_SECONDS.labels(self.name).observe(time.perf_counter() - started)
        rest = count
        for outcome, number in work.outcomes.items():
            STAGE_EVENTS.labels(self.name, outcome).inc(number)
            rest -= number
        if rest > 0:
            STAGE_EVENTS.labels(self.name, "handled").inc(rest)
        for _, error in work.rejected:
            DEAD_LETTERS.labels(self.name, error.code).inc()
            _log.warning("dead letter", stage=self.name, code=error.code)
