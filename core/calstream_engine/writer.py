"""The one writer of a partition's state: Kafka transactions, fenced by the partition.

A transaction holds everything that a batch changes: state records, outputs, dead letters and the
position in the source. It is committed before the local state changes, so a crash leaves either
all of it or nothing. The transactional id is the app and the partition: whoever opens the partition
makes Kafka end whatever a former owner had begun and refuse whatever it tries from then on, however
late that owner wakes up.

Writes that wait together share a transaction, in their order.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from calstream_core.errors import Code, InvariantError, UnavailableError
from calstream_core.kafka.limits import REQUEST_BYTES
from calstream_engine.failures import WorkerStopError
from calstream_engine.work import Outgoing, Work, position_key

T = TypeVar("T")

_INITIALISE_SECONDS = 30.0
_CALL_SECONDS = 5.0
_RETRY_SECONDS = 0.2
_log = structlog.get_logger()


class FencedError(UnavailableError):
    """Another worker has the partition, or will have it. What was not written stays unwritten."""


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """What the writers of an app share.

    Attributes:
        app: the app's id, the first part of the transactional ids.
        client: librdkafka settings, at least `bootstrap.servers`.
        position_table: the table whose changelog holds the positions in the source, if any.
        executor: threads for calls that wait for the broker: one for each partition at least.
    """

    app: str
    client: dict[str, Any]
    position_table: str | None
    executor: ThreadPoolExecutor


class PartitionWriter:
    """Commits the works of one partition, one transaction at a time. `open` it first.

    Attributes:
        failure: why it can't write any more, if something failed.
    """

    def __init__(self, settings: WriterSettings, partition: int) -> None:
        self._settings = settings
        self._partition = partition
        self._loop = asyncio.get_running_loop()
        self._producer: Producer | None = None
        self._waiting: list[tuple[Work, asyncio.Future[None]]] = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.failure: Exception | None = None
        self._ends: dict[str, int] = {}

    async def open(self) -> None:
        """Takes the partition over: ends what a former owner had begun, and fences it.

        Raises:
            UnavailableError: the broker does not answer.
        """
        self._producer = await self._call(self._initialise)
        self._task = asyncio.create_task(self._run())

    async def write(self, work: Work) -> None:
        """Makes a work real: durable in Kafka, then in the stores. Returns when it is.

        Raises:
            FencedError: another worker owns the partition now; nothing of the work counts.
            UnavailableError: it could not be written; the writer can't go on.
            InvariantError: a topic does not take it; the writer does not go on.
        """
        if self._closing or self._task is None or self._task.done():
            raise self._closed()
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((work, future))
        self._news.set()
        await future

    async def close(self) -> None:
        """Stops writing. What is being committed is brought to an end, the rest is refused."""
        self._closing = True
        self._news.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await self._call(producer.close)
            except KafkaException as error:
                # it aborts what is open, which a fenced one may not: whoever fenced it did that
                _log.info("closed by force", partition=self._partition, reason=str(error.args[0]))

    def _closed(self) -> FencedError:
        return FencedError(
            Code.WORKER_FENCED, f"Partition {self._partition} is not written by this worker."
        )

    def _initialise(self) -> Producer:
        settings = self._settings
        name = f"{settings.app}-{self._partition}"
        producer = Producer(
            {
                "client.id": name,
                "transactional.id": name,
                "transaction.timeout.ms": 60_000,
                "linger.ms": 5,
                "batch.num.messages": 10_000,
                "queue.buffering.max.messages": 1_000_000,
                "message.max.bytes": REQUEST_BYTES,
                "compression.type": "lz4",
                "allow.auto.create.topics": False,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 2,
                **settings.client,
            }
        )
        try:
            producer.init_transactions(_INITIALISE_SECONDS)
        except KafkaException as error:
            raise UnavailableError(
                Code.BROKER_UNAVAILABLE,
                f"Partition {self._partition} can't be taken over: {error.args[0].str()}.",
            ) from error
        return producer

    async def _run(self) -> None:
        while not self._closing:
            await self._news.wait()
            self._news.clear()
            waiting, self._waiting = self._waiting, []
            if not waiting:
                continue
            error: Exception | None = None
            try:
                await self._commit([work for work, _ in waiting])
            except Exception as raised:  # noqa: BLE001 - told to everyone who waits
                error = self.failure = raised
                self._closing = True
            _settle(waiting, error)
        _settle(self._waiting, self._closed())
        self._waiting = []

    async def _commit(self, works: Sequence[Work]) -> None:
        """One transaction, tried again until it is known to be committed or impossible."""
        while True:
            try:
                self._produce(works)
                await self._end(commit=True)
            except KafkaException as failure:
                error: KafkaError = failure.args[0]
                if not error.txn_requires_abort():
                    raise self._failed(error) from failure
                try:
                    await self._end(commit=False)
                except KafkaException as second:
                    raise self._failed(second.args[0]) from second
                if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise self._too_large() from failure
                if self._closing:
                    raise self._closed() from failure
                _log.warning("transaction is tried again", reason=error.str())
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._apply(works)
                return

    def _failed(self, error: KafkaError) -> UnavailableError:
        kind = FencedError if _is_fencing(error) or self._closing else UnavailableError
        code = Code.WORKER_FENCED if kind is FencedError else Code.BROKER_UNAVAILABLE
        return kind(code, f"Partition {self._partition} can't be written: {error.str()}.")

    def _too_large(self) -> WorkerStopError:
        return WorkerStopError(
            Code.RECORD_TOO_LARGE,
            f"Partition {self._partition} can't be written: a topic takes no record that large.",
            hint="Raise `max.message.bytes` of the app's topics, that of the dead letters above"
            " all.",
        )

    async def _end(self, *, commit: bool) -> None:
        """Commits or aborts; asks again as long as the answer is only late."""
        assert self._producer is not None
        end = self._producer.commit_transaction if commit else self._producer.abort_transaction
        while True:
            try:
                await self._call(partial(end, _CALL_SECONDS))
            except KafkaException as failure:
                if not failure.args[0].retriable() or self._closing:
                    raise
                _log.warning("waiting for the broker", reason=failure.args[0].str())
            else:
                return

    def _produce(self, works: Sequence[Work]) -> None:
        producer = self._producer
        assert producer is not None
        producer.begin_transaction()
        self._ends.clear()
        for records in self._changelogs(works):
            _queue(producer, records[:-1])
            # the last one's place tells how far the changelog goes
            topic, key, value, place, headers = records[-1]
            producer.produce(topic, value, key, place, self._told, headers=[*(headers or [])])
        for work in works:
            _queue(producer, work.sent)
            _queue(producer, work.dead_letters)

    def _changelogs(self, works: Sequence[Work]) -> Iterator[list[Outgoing]]:
        """The records of each changelog, the position last."""
        positions = dict(work.position for work in works if work.position is not None)
        for name in works[0].tables:
            records = list(
                chain.from_iterable(work.tables[name].outgoing(self._partition) for work in works)
            )
            if name == self._settings.position_table:
                topic = works[0].tables[name].topic
                records += (
                    Outgoing(topic, position_key(source), b"%d" % offset, self._partition, None)
                    for source, offset in positions.items()
                )
            if records:
                yield records

    def _told(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._ends[message.topic() or ""] = (message.offset() or 0) + 1

    def _apply(self, works: Sequence[Work]) -> None:
        positions = dict(work.position for work in works if work.position is not None)
        for name, table in works[0].tables.items():
            changes = list(chain.from_iterable(work.tables[name].changes() for work in works))
            if name == self._settings.position_table:
                changes += ((position_key(s), b"%d" % offset) for s, offset in positions.items())
            if not changes:
                continue
            if table.topic not in self._ends:
                raise InvariantError(
                    Code.INVARIANT_BROKEN,
                    f"Nobody knows where {table.topic}[{self._partition}] ends after a commit.",
                )
            table.store.apply(changes, self._ends[table.topic])

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._settings.executor, function)


def _queue(producer: Producer, records: Iterable[Outgoing]) -> None:
    produce = producer.produce
    for topic, key, value, partition, headers in records:
        if headers is None:
            produce(topic, value, key, partition)
        else:
            produce(topic, value, key, partition, headers=[*headers])


def _settle(
    waiting: Sequence[tuple[Work, "asyncio.Future[None]"]], error: Exception | None
) -> None:
    for _work, future in waiting:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _is_fencing(error: KafkaError) -> bool:
    return error.code() in {
        KafkaError._FENCED,  # noqa: SLF001 - how confluent-kafka names it
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.INVALID_TXN_STATE,
    }
