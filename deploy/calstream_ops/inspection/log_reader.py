"""Reads topics from any place, without a consumer group and without committing anything."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_ops.topics.broker_errors import broker_unavailable

_ASK_SECONDS = 10
_BATCH = 2000
_POLL_SECONDS = 0.2
_SILENCE_SECONDS = 20

Place = tuple[str, int]
"""A topic and a partition of it."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record as it lies in the log.

    Attributes:
        timestamp_ms: milliseconds since 1970, as its producer gave it.
        value: None says that the key is deleted.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str
    value: bytes | None = field(repr=False)  # may hold what must not be logged
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Range:
    """The offsets of a partition: from `begin` to before `end`."""

    begin: int
    end: int


class LogReader:
    """One reader. A context manager; not for several threads.

    Args:
        bootstrap_servers: the broker.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "client.id": "calstream-reader",
                "group.id": "calstream-reader",  # librdkafka wants one; it is never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
                "reconnect.backoff.max.ms": 1000,
                "fetch.wait.max.ms": 100,
                "log_level": 0,  # whether the broker answers is told by our own error
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def ranges(
        self, topics: Sequence[str], partitions: Sequence[int] | None = None
    ) -> dict[Place, Range]:
        """What topics hold now.

        Args:
            topics: their names at the broker.
            partitions: only these; by default all.

        Raises:
            ConfigError: the broker has no such topic.
            UnavailableError: it does not answer.
        """
        found: dict[Place, Range] = {}
        try:
            for topic in topics:
                known = self._consumer.list_topics(topic, timeout=_ASK_SECONDS).topics[topic]
                if known.error is not None or not known.partitions:
                    raise _no_topic(topic)
                for partition in sorted(known.partitions):
                    if partitions is None or partition in partitions:
                        place = TopicPartition(topic, partition)
                        low, high = self._consumer.get_watermark_offsets(place, _ASK_SECONDS)
                        found[topic, partition] = Range(low, high)
        except KafkaException as error:
            raise broker_unavailable(error.args[0]) from error
        return found

    def read(self, ranges: Mapping[Place, Range]) -> Iterator[LogRecord]:
        """What lies in these ranges: each partition in order, the partitions mixed.

        Raises:
            UnavailableError: the broker does not answer any more.
        """
        left = {place: its for place, its in ranges.items() if its.begin < its.end}
        self._start({place: its.begin for place, its in left.items()})
        heard_at = time.monotonic()
        while left:
            messages = self._next()
            if messages:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > _SILENCE_SECONDS:
                raise UnavailableError(
                    Code.BROKER_UNAVAILABLE,
                    f"The broker has sent nothing for {_SILENCE_SECONDS} s.",
                    hint="Is it up?",
                )
            for message in messages:
                place = _place(message)
                its = left.get(place)
                if its is None:
                    continue
                if _is_end(message):
                    del left[place]
                    continue
                offset = message.offset() or 0
                if offset < its.end:
                    yield _record(message)
                if offset >= its.end - 1:
                    del left[place]

    def follow(self, starts: Mapping[Place, int]) -> Iterator[LogRecord | None]:
        """Records from these offsets on, as they come; None whenever there is nothing new."""
        self._start(starts)
        while True:
            messages = self._next()
            for message in messages:
                if not _is_end(message):
                    yield _record(message)
            if not messages:
                yield None

    def _next(self) -> list[Message]:
        """What is there; waits a little for the first (`consume` would wait for all it may get)."""
        first = self._consumer.poll(_POLL_SECONDS)
        return [] if first is None else [first, *self._consumer.consume(_BATCH, 0)]

    def _start(self, starts: Mapping[Place, int]) -> None:
        self._consumer.assign(
            [TopicPartition(topic, partition, at) for (topic, partition), at in starts.items()]
        )


def last(ranges: Mapping[Place, Range], count: int) -> dict[Place, Range]:
    """The ranges in which the last records of each partition are, `count` of each."""
    return {place: Range(max(r.begin, r.end - count), r.end) for place, r in ranges.items()}


def _is_end(message: Message) -> bool:
    """Whether this tells of the end of a partition, instead of being a record.

    Raises:
        UnavailableError: it tells of an error after which nothing comes any more.
    """
    error = message.error()
    if error is None:
        return False
    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - how confluent-kafka names it
        raise broker_unavailable(error)
    return True


def _place(message: Message) -> Place:
    return message.topic() or "", message.partition() or 0


def _record(message: Message) -> LogRecord:
    topic, partition = _place(message)
    return LogRecord(
        topic=topic,
        partition=partition,
        offset=message.offset() or 0,
        timestamp_ms=message.timestamp()[1],
        key=_text(message.key()),
        value=message.value(),
        headers={name: _text(value) for name, value in dict(message.headers() or ()).items()},
    )


def _text(value: bytes | str | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def _no_topic(topic: str) -> ConfigError:
    return ConfigError(
        Code.TOPICS_DIFFER,
        f"The broker has no topic {topic}.",
        hint="`calstream topic create` makes what is missing.",
    )
