"""Topics with names of their own: made, written, read and compacted as a test needs."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic
from tests.integration.engine.waiting import PATIENCE_SECONDS, eventually

Pair = tuple[bytes | None, bytes | None]

COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "segment.ms": "100",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "0",
}
"""A topic that is compacted as soon as the broker gets to it."""


class Topics:
    """A client of the broker for one test."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._client: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 0,
        }
        self._admin = AdminClient(self._client)
        self._producer = Producer(self._client | {"linger.ms": 0, "message.max.bytes": 20_000_000})
        self._made: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._made:
            for future in self._admin.delete_topics(self._made).values():
                future.result(PATIENCE_SECONDS)

    def name(self, what: str) -> str:
        """A name that nobody else has."""
        return f"e-{what}-{secrets.token_hex(4)}"

    def make(self, what: str, partitions: int = 1, **configuration: str) -> str:
        """Makes a topic; settings with `_` for their dots."""
        name = self.name(what)
        settings = {key.replace("_", "."): value for key, value in configuration.items()}
        return self.make_named(name, partitions, settings)

    def make_named(
        self, name: str, partitions: int = 1, settings: dict[str, str] | None = None
    ) -> str:
        topic = NewTopic(name, partitions, 1, config=settings or {})
        self._admin.create_topics([topic])[name].result(PATIENCE_SECONDS)
        self._made.append(name)
        while name not in self._admin.list_topics(timeout=PATIENCE_SECONDS).topics:
            time.sleep(0.01)  # the broker hears of it from its controller
        return name

    def put(
        self,
        topic: str,
        pairs: Iterable[Pair],
        *,
        partition: int = 0,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_milliseconds: int = 0,
    ) -> None:
        """Writes records, one after the other; returns when the broker has them."""
        failed: list[Any] = []

        def told(error: Any, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        for key, value in pairs:
            self._producer.produce(
                topic,
                value,
                key,
                partition,
                told,
                timestamp=timestamp_milliseconds,
                headers=list(headers),
            )
            self._producer.poll(0)
        assert self._producer.flush(PATIENCE_SECONDS) == 0
        assert failed == []

    def put_in_transaction(self, topic: str, pairs: Iterable[Pair], *, commit: bool = True) -> None:
        """Writes records in one transaction, which leaves a marker behind them."""
        with self.open_transaction(topic, pairs) as producer:
            if commit:
                producer.commit_transaction(PATIENCE_SECONDS)

    @contextmanager
    def open_transaction(
        self, topic: str, pairs: Iterable[Pair], *, transactional_id: str | None = None
    ) -> Iterator[Producer]:
        """Records in a transaction that is open; aborted unless it is committed in the block."""
        name = transactional_id or secrets.token_hex(8)
        producer = Producer(self._client | {"transactional.id": name})
        producer.init_transactions(PATIENCE_SECONDS)
        producer.begin_transaction()
        for key, value in pairs:
            producer.produce(topic, value, key, 0)
        producer.flush(PATIENCE_SECONDS)
        yield producer
        with suppress(KafkaException):  # it is committed
            producer.abort_transaction(PATIENCE_SECONDS)

    def end(self, topic: str, partition: int = 0) -> int:
        """The offset behind the last of a partition, record or not."""
        consumer = self._reader()
        try:
            return consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=PATIENCE_SECONDS
            )[1]
        finally:
            consumer.close()

    def read(self, topic: str, partition: int = 0) -> list[Message]:
        """The committed records of a partition, in their order."""
        consumer = self._reader()
        found: list[Message] = []
        try:
            consumer.assign([TopicPartition(topic, partition, 0)])
            while True:
                message = consumer.poll(PATIENCE_SECONDS)
                assert message is not None, f"{topic}[{partition}] has no end"
                if message.error() is not None:
                    return found
                found.append(message)
        finally:
            consumer.close()

    def values(self, topic: str, partition: int = 0) -> list[bytes | None]:
        """The values of a partition, in their order."""
        return [message.value() for message in self.read(topic, partition)]

    def latest(self, topic: str, partition: int = 0) -> dict[bytes, bytes]:
        """What a compacted topic says: the last value of each key that was not removed."""
        found = {m.key() or b"": m.value() for m in self.read(topic, partition)}
        return {key: value for key, value in found.items() if value is not None}

    def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """The committed offset of a group; None without one."""
        consumer = Consumer(self._client | {"group.id": group, "enable.auto.commit": False})
        try:
            place = _committed(consumer, TopicPartition(topic, partition))
            return place.offset if place.offset >= 0 else None
        finally:
            consumer.close()

    def commit(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        """Commits an offset for a group that has no members."""
        consumer = Consumer(self._client | {"group.id": group, "enable.auto.commit": False})
        try:
            consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
        finally:
            consumer.close()

    async def until_committed(
        self, group: str, topic: str, offset: int, partition: int = 0
    ) -> None:
        """Waits until a group has committed all before an offset, and never more."""

        def is_there() -> bool:
            committed = self.committed(group, topic, partition)
            assert committed is None or committed <= offset
            return committed == offset

        await eventually(lambda: asyncio.to_thread(is_there))

    async def until_written(self, topic: str, count: int, partition: int = 0) -> list[Message]:
        """Waits until a partition has so many records; all of them."""

        def records() -> list[Message]:
            found = self.read(topic, partition)
            return found if len(found) >= count else []

        found: list[Message] = await eventually(lambda: asyncio.to_thread(records))
        return found

    def _reader(self) -> Consumer:
        return Consumer(
            self._client
            | {
                "group.id": "reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
                "fetch.message.max.bytes": 20_000_000,
            }
        )


def _committed(consumer: Consumer, place: TopicPartition) -> TopicPartition:
    """What a group has committed; asked again while a new broker makes up its coordinators."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            (found,) = consumer.committed([place], timeout=PATIENCE_SECONDS)
        except KafkaException as error:
            passes = error.args[0].code() in {
                KafkaError.NOT_COORDINATOR,
                KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
                KafkaError.COORDINATOR_NOT_AVAILABLE,
            }
            if not passes or time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
        else:
            assert isinstance(found, TopicPartition)
            return found
