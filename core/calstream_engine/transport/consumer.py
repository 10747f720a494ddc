"""Faust's consumer on the engine: hands batches to agents through Faust's conductor.

Reading, claims and commits are `Reading`'s; this is the face that Faust knows. Nothing is purged at
a rebalance: what belongs to a claim that has ended is passed over, all else goes on.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Any

import structlog
from faust.exceptions import KeyDecodeError, ValueDecodeError
from faust.types import TP, Message
from faust.types.transports import ConsumerCallback, ConsumerT, TPorTopicSet
from mode import Service

from calstream_core.errors import (
    CalstreamError,
    Code,
    ConfigError,
    InvariantError,
    RecordError,
    UnavailableError,
)
from calstream_core.metrics import DEAD_LETTERS
from calstream_engine.claim import Claim
from calstream_engine.configuration import Mode
from calstream_engine.engine import Engine
from calstream_engine.failures import DeadLetterGuard, WorkerStopError, dead_letter
from calstream_engine.reading import Reading
from calstream_engine.records import Batch, Place, Record, offset_of
from calstream_engine.transport.messages import EngineMessage, batch_message, record_message

_log = structlog.get_logger()


class Consumer(Service, ConsumerT):
    """The consumer of one app."""

    def __init__(
        self,
        transport: Any,
        callback: ConsumerCallback,
        on_partitions_revoked: Any = None,  # noqa: ARG002 - Faust's rebalance is not used
        on_partitions_assigned: Any = None,  # noqa: ARG002 - Faust's rebalance is not used
        *,
        commit_interval: float | None = None,  # noqa: ARG002 - the engine's settings say it
        loop: asyncio.AbstractEventLoop | None = None,
        **options: Any,
    ) -> None:
        self.transport = transport
        self.app = transport.app
        self.callback = callback
        self.in_transaction = False
        self.randomly_assigned_topics = set()
        self._engine: Engine = transport.engine
        self.commit_interval = self._engine.settings.commit_interval_seconds
        self._guard = DeadLetterGuard(self._engine.settings.limit)
        self._inbox: deque[EngineMessage] = deque()
        self._news = asyncio.Event()
        self._records: dict[EngineMessage, Record] = {}
        self._buried: set[EngineMessage] = set()
        self._reading: Reading | None = None
        self._ending: asyncio.Future[None] | None = None
        self.first_restore = asyncio.Event()
        super().__init__(loop=loop, **options)

    @property
    def reading(self) -> Reading:
        """The engine's part, from the start on."""
        assert self._reading is not None
        return self._reading

    @property
    def is_reading(self) -> bool:
        """Whether it has been started."""
        return self._reading is not None

    async def on_start(self) -> None:
        """Makes the engine's part, in the loop that will use it."""
        self._reading = Reading(self._engine, self._announce, self._deliver, self.crash_app)
        self.first_restore = self._reading.first_restore

    async def on_stop(self) -> None:
        """Leaves the group."""
        await self.leave()

    async def leave(self) -> None:
        """Finishes what is in flight within the budget, commits, and leaves the group."""
        if self._reading is not None:
            await self._reading.leave()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Joins the group. An app's topics are fixed from then on.

        Raises:
            ConfigError: topics of another number of partitions, or agents that the mode forbids.
        """
        wanted = sorted(topics)
        if not wanted:  # an app of timers and sends
            self.first_restore.set()
        elif not self.reading.topics:
            await asyncio.to_thread(self._verify, wanted)
            self.app.flow_control.resume()
            self.reading.start(wanted)
        elif not set(wanted) <= set(self.reading.topics):
            raise ConfigError(
                Code.ENGINE_UNSUPPORTED, "An app's topics can't change while it runs."
            )

    def _verify(self, topics: list[str]) -> None:
        transactional = self._engine.settings.mode is Mode.TRANSACTIONAL
        singles = [topic for topic in topics if topic not in self._engine.stages]
        if singles and transactional:
            raise ConfigError(
                Code.ENGINE_UNSUPPORTED,
                f"In transactional mode every agent is a batch agent: {', '.join(singles)}.",
                hint="Use `calstream_engine.batch_agent`, or plain mode.",
            )
        changelogs = [spec.topic for spec in self._engine.ownership.tables.values()]
        counts = {name: self.app.producer.partition_count(name) for name in [*topics, *changelogs]}
        if changelogs and len(set(counts.values())) > 1:
            raise ConfigError(
                Code.TOPICS_DIFFER,
                f"Topics and changelogs of an app need equal numbers of partitions: {counts}.",
            )
        dead = self._engine.settings.dead_topic
        if dead is not None and self.app.producer.partition_count(dead) < max(counts.values()):
            raise ConfigError(
                Code.TOPICS_DIFFER,
                f"{dead} needs as many partitions as the topics whose dead letters it takes.",
            )

    # delivering

    async def _announce(self, places: Collection[Place]) -> None:
        await self.app.topics.on_partitions_assigned({TP(*place) for place in places})

    def _deliver(self, claim: Claim, batch: Batch) -> None:
        watermark = claim.watermark
        if claim.place.topic in self._engine.stages:
            span = watermark.begin(batch.next_offset)
            self._inbox.append(batch_message(claim, batch, span))
        else:
            for record in batch.records:
                span = watermark.begin(offset_of(record) + 1)
                message = record_message(claim, record, span)
                self._records[message] = record
                self._inbox.append(message)
        self._news.set()

    @Service.task
    async def _hand_over(self) -> None:
        while not self.should_stop:
            self._news.clear()
            while self._inbox:
                message = self._inbox.popleft()
                if message.claim.active:
                    await self.callback(message)
                else:
                    self.abandon(message)
            await self._news.wait()

    @Service.task
    async def _keep_up(self) -> None:
        """Commits, measures the lag, and watches that there is movement."""
        while not self.should_stop:
            await self.sleep(self.commit_interval)
            if not self.reading.topics:
                continue
            for step in (self.reading.commit, self.reading.measure):
                try:
                    await step()
                except UnavailableError as error:
                    _log.warning("not told yet", app=self._engine.settings.app, error=str(error))

    def ack(self, message: Message) -> bool:
        """An agent is done with a message; it counts once what it sent is delivered."""
        assert isinstance(message, EngineMessage)
        message.acked = True  # a second acknowledgement is none
        is_record = self._records.pop(message, None) is not None
        if is_record and message not in self._buried:
            self._guard.check(message.partition, handled=1, rejected=0)
        self._buried.discard(message)

        def done() -> None:
            self.reading.acknowledged(message.claim, message.span, message.weight)

        if isinstance(message.value, Batch):
            done()  # the stage has waited for its writes
        else:
            self.app.producer.when_delivered(done)
        return True

    def abandon(self, message: EngineMessage) -> None:
        """A message of a claim that takes nothing new: whoever has the partition reads it again."""
        self._buried.discard(message)
        if self._records.pop(message, None) is not None or isinstance(message.value, Batch):
            self.reading.abandoned(message.claim, message.weight)

    async def bury(self, message: EngineMessage, error: BaseException) -> bool:
        """Sends a record to the dead letters, or ends the app where that is not allowed.

        Returns:
            Whether it is there, so that it may be acknowledged.
        """
        if message.claim.ended:
            self.abandon(message)  # whoever has the partition reads it again
            return False
        if message in self._buried:
            return True  # by another agent of the topic
        try:
            await self._bury(message, error)
        except CalstreamError as failure:
            self.abandon(message)
            self.crash_app(failure)
            return False
        return True

    async def _bury(self, message: EngineMessage, failure: BaseException) -> None:
        topic = self._engine.settings.dead_topic
        record = self._records.get(message)
        place = f"offset {message.offset} of {message.claim.place}"
        if isinstance(failure, InvariantError | UnavailableError):
            raise failure
        error = failure if isinstance(failure, CalstreamError) else _told(failure)
        if record is None:  # a batch, whose handler must not raise
            raise InvariantError(error.code, f"{error.message} ({place})") from failure
        if topic is None:
            raise WorkerStopError(
                error.code,
                f"{error.message} ({place})",
                hint="The app has no topic for dead letters, so it stops.",
            ) from failure
        stage = self._engine.settings.app
        self._guard.check(message.partition, handled=0, rejected=1)
        self._buried.add(message)
        await self.app.producer.outbox.send_all([dead_letter(topic, stage, record, error)])
        DEAD_LETTERS.labels(stage, error.code).inc()
        _log.warning("dead letter", stage=stage, code=error.code)

    def crash_app(self, error: Exception) -> None:
        """Ends the app; what was not committed is read again by whoever comes next."""
        if self._reading is not None:
            self._reading.halt()
        self._ending = asyncio.ensure_future(self.app.crash(error))

    # what else Faust may ask

    def assignment(self) -> set[TP]:
        """The partitions that are ours."""
        claims = self._reading.claims if self._reading is not None else {}
        return {TP(*place) for place in claims}

    def highwater(self, tp: TP) -> int:
        """The end of a partition, as of the last look."""
        claim = self.reading.claims.get(Place(tp.topic, tp.partition))
        return claim.high_watermark if claim is not None else 0

    async def commit(
        self,
        topics: TPorTopicSet | None = None,  # noqa: ARG002 - everything done may be committed
        start_new_transaction: bool = True,  # noqa: ARG002 - the base's signature
    ) -> bool:
        """Commits the watermarks now."""
        await self.reading.commit()
        return True

    async def position(self, tp: TP) -> int | None:
        """The offset that is read next."""
        claim = self.reading.claims.get(Place(tp.topic, tp.partition))
        return claim.watermark.read_to if claim is not None else None

    def topic_partitions(self, topic: str) -> int | None:
        """How many partitions a topic has."""
        return int(self.app.producer.partition_count(topic))

    def key_partition(
        self, topic: str, key: bytes | None, partition: int | None = None
    ) -> int | None:
        """The partition of a key."""
        if partition is not None:
            return partition
        return int(self.app.producer.key_partition(topic, key or b"").partition)

    async def create_topic(self, *args: Any, **options: Any) -> None:
        """Creates a topic."""
        await self.app.producer.create_topic(*args, **options)

    @property
    def unacked(self) -> set[Message]:
        """Messages that agents work on; Faust's streams ask, ours do not."""
        return set()

    async def wait_empty(self) -> None:
        """Ends what is in flight; at a stop only."""
        await self.leave()

    async def on_task_error(self, exc: BaseException) -> None:
        """Nothing: what failed is not acknowledged."""

    def track_message(self, message: Message) -> None:
        """Nothing: the claim keeps track."""

    def stop_flow(self) -> None:
        """Nothing: the membership has its own flow control."""

    resume_flow = close = stop_flow

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Nothing: the membership has its own flow control."""

    resume_partitions = pause_partitions

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing: records in flight are bounded."""

    on_buffer_drop = on_buffer_full

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's recovery is not used."""

    async def perform_seek(self) -> None:
        """Refused: positions follow from state and commits."""
        raise _unsupported("seek")

    async def seek(self, partition: TP, offset: int) -> None:
        """Refused: positions follow from state and commits."""
        raise _unsupported(f"seek {partition} to {offset}")

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Refused: positions follow from state and commits."""
        raise _unsupported(f"seek {partitions}")

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Refused: Faust's recovery is not used."""
        raise _unsupported(f"ask for the first offsets of {partitions}")

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The ends of partitions, as of the last look."""
        return {tp: self.highwater(tp) for tp in partitions}

    def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Refused: batches are handed over as they come."""
        raise _unsupported(f"getmany({timeout})")


def _unsupported(what: str) -> ConfigError:
    return ConfigError(Code.ENGINE_UNSUPPORTED, f"The engine's consumer does not {what}.")


def _told(failure: BaseException) -> RecordError:
    """What a stranger's exception means; its own text may hold what is nobody's business."""
    undecodable = isinstance(failure, KeyDecodeError | ValueDecodeError)
    code = Code.RECORD_UNREADABLE if undecodable else Code.RECORD_FAILED
    return RecordError(code, type(failure).__name__)
