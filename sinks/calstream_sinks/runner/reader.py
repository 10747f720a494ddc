"""Reads `entities` and the sink's ledger, from their beginning, for the partitions it is given.

A thread of its own hands batches to the event loop and waits for each, so that reading is never
further ahead than one batch. Both topics are assigned by range: equal partition counts give a
worker the same partitions of both. Nothing is committed: the ledger says what was done.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError as FutureCancelledError
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from calstream_core.errors import Code, UnavailableError

_BATCH = 2000
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Assigned:
    """These partitions are ours from now on; their records follow from the first."""

    partitions: frozenset[int]


@dataclass(frozen=True, slots=True)
class Revoked:
    """These partitions are no longer ours."""

    partitions: frozenset[int]


@dataclass(frozen=True, slots=True)
class Records:
    """Records in the order of each partition."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Everything that a partition of a topic held has been handed over."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Reading has ended, and with it the use of the process."""

    error: Exception


Event = Assigned | Revoked | Records | CaughtUp | Failed
Receive = Callable[[Event], Awaitable[None]]


class Reader:
    """Runs the consumer's thread from `start` to `stop`."""

    def __init__(
        self, bootstrap_servers: str, group: str, topics: Sequence[str], receive: Receive
    ) -> None:
        self._topics = list(topics)
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._rewind = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": group,
                "client.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "partition.assignment.strategy": "range",
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 2_000,
                "fetch.wait.max.ms": 100,
                "allow.auto.create.topics": False,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 2,
            }
        )
        self._thread = threading.Thread(target=self._run, name=f"reader-{group}", daemon=True)

    def start(self) -> None:
        """Joins the group and begins to read."""
        self._thread.start()

    def rewind(self) -> None:
        """Reads the first topic again from its beginning, for the partitions that are ours."""
        self._rewind.set()

    async def stop(self) -> None:
        """Leaves the group; returns when the thread has ended."""
        self._stopping.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        self._consumer.subscribe(self._topics, on_assign=self._assign, on_revoke=self._revoke)
        try:
            while not self._stopping.is_set():
                if self._rewind.is_set():
                    self._rewind.clear()
                    self._seek_to_beginning()
                self._hand_over(self._consumer.consume(_BATCH, _POLL_SECONDS))
        except FutureCancelledError:
            pass  # the event loop is ending, and with it whoever would receive
        except Exception as error:  # noqa: BLE001 - a sink that reads no more must not look well
            self._tell(Failed(error))
        finally:
            self._consumer.close()

    def _hand_over(self, messages: Sequence[Message]) -> None:
        records: list[Message] = []
        ends: list[Event] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - how confluent-kafka names it
                ends.append(CaughtUp(message.topic() or "", message.partition() or 0))
            elif error.fatal():
                ends.append(Failed(_unavailable(error)))
        if records:
            self._tell(Records(tuple(records)))
        for end in ends:
            self._tell(end)

    def _tell(self, event: Event) -> None:
        async def receive() -> None:
            await self._receive(event)

        future = asyncio.run_coroutine_threadsafe(receive(), self._loop)
        while not self._stopping.is_set():
            try:
                future.result(_POLL_SECONDS)
            except TimeoutError:
                continue
            return

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            partition.offset = OFFSET_BEGINNING
        self._tell(Assigned(_of(partitions, self._topics[0])))
        consumer.assign(partitions)

    def _revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._tell(Revoked(_of(partitions, self._topics[0])))

    def _seek_to_beginning(self) -> None:
        for partition in self._consumer.assignment():
            if partition.topic == self._topics[0]:
                self._consumer.seek(
                    TopicPartition(partition.topic, partition.partition, OFFSET_BEGINNING)
                )


def _of(partitions: Sequence[TopicPartition], topic: str) -> frozenset[int]:
    return frozenset(p.partition for p in partitions if p.topic == topic)


def _unavailable(error: KafkaError) -> UnavailableError:
    return UnavailableError(Code.BROKER_UNAVAILABLE, f"Reading can't go on: {error.str()}.")
