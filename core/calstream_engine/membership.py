"""Membership in a consumer group: the thread that owns the librdkafka consumer.

librdkafka fetches, decompresses and parses in threads of its own, without Python's lock; this
thread only takes what is there and hands it to the event loop, a batch of one partition at a time.
It keeps no state of the stream: what is assigned, revoked or read is told to a listener, which
answers in the loop. Commands (where to read on, what to commit) come through a queue and are
carried out between two reads, so that a record read before a command is never taken for one after
it: every batch carries the claim that held when it was read.

Partitions move one by one (cooperative-sticky) where the app reads one topic; where it reads
several, equal numbers must stay together, which only the range assignor promises.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol, TypeVar

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from calstream_core.errors import Code, UnavailableError
from calstream_engine.claim import Claim
from calstream_engine.records import Batch, Place, offset_of

T = TypeVar("T")

_POLL_SECONDS = 0.05
_STALL_SECONDS = 1.0
_REJOIN_SECONDS = 0.5
_REJOIN_WINDOW_SECONDS = 60.0
_MOST_REJOINS = 5
_FATAL = {
    KafkaError._FATAL,  # noqa: SLF001 - how confluent-kafka names it
    KafkaError._FENCED,  # noqa: SLF001 - how confluent-kafka names it
    KafkaError.FENCED_INSTANCE_ID,
}
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How a worker takes part in its group.

    Attributes:
        bootstrap_servers: HOST:PORT, several separated by commas.
        group: the consumer group, named as the app.
        instance_id: makes a static member: whoever starts again under it takes its place at once.
        session_timeout_seconds: after which the group takes a silent worker's partitions away.
        max_batch_records: the most records of one batch.
        max_records_in_flight: records handed out and not done, over all partitions; a large one
            counts as several.
        client: further librdkafka settings, such as TLS and SASL.
    """

    bootstrap_servers: str
    group: str
    instance_id: str | None = None
    session_timeout_seconds: float = 10.0
    max_batch_records: int = 2000
    max_records_in_flight: int = 20_000
    client: dict[str, Any] = field(default_factory=dict)


class Listener(Protocol):
    """What the membership tells, always in the event loop."""

    def on_assigned(self, claims: Sequence[Claim]) -> None:
        """These partitions are ours; nothing is read from them before `read_from`."""

    async def on_revoked(self, claims: Sequence[Claim], *, lost: bool) -> dict[Place, int]:
        """These partitions go; returns what to commit for them. `lost`: they are gone already."""

    def on_batches(self, batches: Sequence[tuple[Claim, Batch]]) -> None:
        """Records, in the order of each partition."""

    def on_end(self, ends: Sequence[tuple[Claim, int]]) -> None:
        """These partitions have been read up to their end, which is this offset."""

    def on_failed(self, error: Exception) -> None:
        """Reading can't go on."""


class Membership:
    """Runs the consumer's thread from `start` to `stop`. Made and used in the event loop."""

    def __init__(self, settings: GroupSettings, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._later: list[Callable[[], None]] = []
        self._claims: dict[Place, Claim] = {}
        self._places_read: set[Place] = set()
        self._stopping = threading.Event()
        self._left = threading.Event()
        self._room = threading.Condition()
        self._in_flight = 0
        self._final: KafkaError | None = None
        self._rejoins: list[float] = []
        self._topics: list[str] = []
        self._consumer: Consumer | None = None
        self._thread = threading.Thread(target=self._run, name=f"group-{settings.group}")

    def start(self, topics: Sequence[str]) -> None:
        """Joins the group; returns at once."""
        self._topics = sorted(topics)
        self._thread.start()

    async def stop(self) -> None:
        """Leaves the group, which revokes what is ours; returns when the thread has ended."""
        self._stopping.set()
        with self._room:
            self._room.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def returned(self, weight: int) -> None:
        """Records that were handed out, of this weight, are done or don't count any more."""
        with self._room:
            self._in_flight -= weight
            self._room.notify()

    def read_from(self, claim: Claim, offset: int) -> None:
        """Begins to read a partition under this claim, from an offset on."""

        def read() -> None:
            if self._consumer is None or self._claims.get(claim.place) is not claim:
                return  # revoked meanwhile; it may be ours again, under another claim
            target = TopicPartition(claim.place.topic, claim.place.partition, offset)
            try:
                self._consumer.seek(target)
            except KafkaException as error:
                if error.args[0].code() != KafkaError._STATE:  # noqa: SLF001 - how confluent-kafka names it
                    raise
                self._later.append(read)  # the assignment has not come into force yet
            else:
                self._consumer.resume([target])
                self._places_read.add(claim.place)

        self._commands.put(read)

    def commit(self, offsets: dict[Place, int]) -> "asyncio.Future[None]":
        """Commits offsets to the group; blocks nobody.

        Returns:
            A future that is done when the group has them, or raises UnavailableError.
        """
        return self._ask(lambda consumer: _commit(consumer, offsets))

    def ends(self, places: Sequence[Place]) -> "asyncio.Future[dict[Place, tuple[int, int]]]":
        """The first offset of partitions and the end of what can be read, as of now."""

        def ask(consumer: Consumer) -> dict[Place, tuple[int, int]]:
            return {
                place: consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)
                for place in places
            }

        return self._ask(ask)

    def committed(self, places: Sequence[Place]) -> "asyncio.Future[dict[Place, int]]":
        """The group's committed offsets; -1 for none."""

        def ask(consumer: Consumer) -> dict[Place, int]:
            found = consumer.committed([TopicPartition(*place) for place in places], timeout=10)
            return {Place(one.topic, one.partition): max(one.offset, -1) for one in found}

        return self._ask(ask)

    def high_watermarks(self, places: Sequence[Place]) -> "asyncio.Future[dict[Place, int]]":
        """The end offsets as of the last fetch, without asking the broker."""

        def ask(consumer: Consumer) -> dict[Place, int]:
            found = {}
            for place in places:
                _low, high = consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
                found[place] = max(high, 0)
            return found

        return self._ask(ask)

    def _ask(self, question: Callable[[Consumer], T]) -> "asyncio.Future[T]":
        future: Future[T] = Future()

        def answer() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(question(self._joined()))
            except KafkaException as error:
                if error.args[0].code() in _FATAL:
                    self._final = error.args[0]
                future.set_exception(_unavailable(error.args[0]))
            except Exception as error:  # noqa: BLE001 - the thread goes on; who asked is told
                future.set_exception(error)

        self._commands.put(answer)
        if self._left.is_set():
            self._obey()
        return asyncio.wrap_future(future, loop=self._loop)

    # what follows runs in the thread

    def _joined(self) -> Consumer:
        if self._consumer is None:
            raise UnavailableError(Code.BROKER_UNAVAILABLE, "The worker has left its group.")
        return self._consumer

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._take_part()
        except CancelledError:
            pass  # the loop is ending, and with it whoever would listen
        except Exception as error:  # noqa: BLE001 - a worker that reads no more must not look well
            self._call(self._listener.on_failed, error)
        finally:
            self._left.set()
            self._obey()  # whoever still waits for an answer is not left waiting

    def _take_part(self) -> None:
        """From joining to leaving, or to an error after which the client wants to be made anew.

        The broker fences a static member if a reply to its joining got lost with a connection: to
        the broker, its name belongs to a member that it has never heard of. It joins again.
        """
        self._final = None
        self._consumer = consumer = Consumer(self._configuration())
        try:
            consumer.subscribe(
                self._topics,
                on_assign=self._assigned,
                on_revoke=self._revoked,
                on_lost=self._lost,
            )
            while not self._stopping.is_set() and self._final is None:
                self._obey()
                if self._has_room():
                    self._read(consumer)
        finally:
            self._leave(consumer)
        if self._final is not None:
            _log.warning("joining again", group=self._settings.group, reason=self._final.str())
            self._count_rejoin(self._final)
            self._stopping.wait(_REJOIN_SECONDS)

    def _count_rejoin(self, error: KafkaError) -> None:
        now = time.monotonic()
        self._rejoins = [at for at in self._rejoins if at > now - _REJOIN_WINDOW_SECONDS] + [now]
        if len(self._rejoins) > _MOST_REJOINS:
            raise UnavailableError(
                Code.WORKER_FENCED,
                f"The group {self._settings.group} takes this worker's place away again and again:"
                f" {error.str()}.",
                hint="Does another worker run under the same name in the group?",
            )

    def _configuration(self) -> dict[str, Any]:
        settings = self._settings
        assignor = "cooperative-sticky" if len(self._topics) == 1 else "range"
        static = {"group.instance.id": settings.instance_id} if settings.instance_id else {}
        return {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": settings.group,
            "client.id": settings.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",  # what retention took away is told, not skipped
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "partition.assignment.strategy": assignor,
            "session.timeout.ms": int(settings.session_timeout_seconds * 1000),
            "heartbeat.interval.ms": int(settings.session_timeout_seconds * 1000 / 4),
            "fetch.wait.max.ms": 100,
            "fetch.message.max.bytes": 1 << 20,
            "queued.min.messages": 20_000,
            "fetch.queue.backoff.ms": 10,  # librdkafka waits a second by default once it has enough
            "queued.max.messages.kbytes": 32_768,
            "allow.auto.create.topics": False,
            "topic.metadata.refresh.interval.ms": 30_000,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 2,
            **static,
            **settings.client,
        }

    def _obey(self) -> None:
        for command in self._later:
            self._commands.put(command)
        self._later.clear()
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            command()

    def _has_room(self) -> bool:
        """Waits a little for room; a rebalance is answered even if there is none for long."""
        limit = self._settings.max_records_in_flight
        with self._room:
            if self._room.wait_for(
                lambda: self._in_flight < limit or self._stopping.is_set(), _STALL_SECONDS
            ):
                return not self._stopping.is_set()
        assert self._consumer is not None
        assigned = self._consumer.assignment()
        self._consumer.pause(assigned)
        if message := self._consumer.poll(0):
            self._hand_over([message])
        self._consumer.resume([TopicPartition(*place) for place in self._places_read])
        return False

    def _read(self, consumer: Consumer) -> None:
        first = consumer.poll(_POLL_SECONDS)
        if first is not None:
            self._hand_over([first, *consumer.consume(self._settings.max_batch_records - 1, 0)])

    def _hand_over(self, messages: Sequence[Message]) -> None:
        batches: list[tuple[Claim, Batch]] = []
        ends: list[tuple[Claim, int]] = []
        for (topic, partition), group in groupby(messages, _place):
            place = Place(topic or "", -1 if partition is None else partition)
            # before `read_from` was obeyed, what comes is of no known place: it must not count
            claim = self._claims.get(place) if place in self._places_read else None
            records: list[Message] = []
            for message in group:
                error = message.error()
                if error is None:
                    records.append(message)
                elif error.code() == KafkaError._PARTITION_EOF and claim is not None:  # noqa: SLF001 - how confluent-kafka names it
                    ends.append((claim, offset_of(message)))
                elif error.code() in _FATAL:
                    self._final = error
                else:
                    _raise_if_refused(error)
            if records and claim is not None:
                batches.append((claim, Batch(place, records, offset_of(records[-1]) + 1)))
        if batches:
            with self._room:
                self._in_flight += sum(batch.weight for _, batch in batches)
            self._call(self._listener.on_batches, batches)
        if ends:
            self._call(self._listener.on_end, ends)

    def _call(self, told: Callable[[Any], None], what: object) -> None:
        try:
            self._loop.call_soon_threadsafe(told, what)
        except RuntimeError as error:  # the loop is closed
            raise CancelledError from error

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise CancelledError from error
        return future.result()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        claims = [Claim(Place(one.topic, one.partition)) for one in partitions]
        self._claims |= {claim.place: claim for claim in claims}
        # where to read from is known once the state is restored; until then nothing is fetched
        parked = [TopicPartition(one.topic, one.partition, OFFSET_BEGINNING) for one in partitions]
        if len(self._topics) == 1:
            consumer.incremental_assign(parked)
        else:
            consumer.assign(parked)
        consumer.pause(parked)
        _log.info("partitions assigned", group=self._settings.group, count=len(claims))
        self._call(self._listener.on_assigned, claims)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        claims = self._ended(partitions)
        offsets = self._wait(self._listener.on_revoked(claims, lost=False))
        try:
            _commit(consumer, offsets)
        except KafkaException as error:
            # nothing is lost: what is not committed is read again
            _log.warning("not committed at a revoke", error=error.args[0].str())
        self._unassign(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        claims = self._ended(partitions)
        self._wait(self._listener.on_revoked(claims, lost=True))
        self._unassign(consumer, partitions)

    def _unassign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        _log.info("partitions revoked", group=self._settings.group, count=len(partitions))
        if len(self._topics) == 1:
            consumer.incremental_unassign(partitions)
        else:
            consumer.unassign()

    def _ended(self, partitions: Sequence[TopicPartition]) -> list[Claim]:
        places = [Place(one.topic, one.partition) for one in partitions]
        self._places_read.difference_update(places)
        return [claim for place in places if (claim := self._claims.pop(place, None))]

    def _leave(self, consumer: Consumer) -> None:
        try:
            consumer.close()
            claims = list(self._claims.values())
            self._claims.clear()
            self._places_read.clear()
            if claims:  # closing a client that has failed tells nobody
                self._wait(self._listener.on_revoked(claims, lost=True))
        except CancelledError:
            pass  # as in `_run`
        finally:
            self._consumer = None


def _place(message: Message) -> tuple[str | None, int | None]:
    return message.topic(), message.partition()


def _commit(consumer: Consumer, offsets: dict[Place, int]) -> None:
    if offsets:
        wanted = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        for one in consumer.commit(offsets=wanted, asynchronous=False) or ():
            if one.error is not None:
                raise KafkaException(one.error)


def _raise_if_refused(error: KafkaError) -> None:
    """Outages pass by themselves; what does not ends the reading."""
    if error.code() in {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - how confluent-kafka names it
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }:
        raise _unavailable(error)


def _unavailable(error: KafkaError) -> UnavailableError:
    return UnavailableError(Code.BROKER_UNAVAILABLE, f"Reading can't go on: {error.str()}.")
