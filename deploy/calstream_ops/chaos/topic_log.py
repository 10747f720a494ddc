"""Reads whole topics of a trial, partition by partition; all functions block."""

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from calstream_core.errors import Code, UnavailableError
from calstream_ops.chaos.job import ID_HEADER
from calstream_ops.chaos.layout import PARTITIONS, TOPICS
from calstream_ops.chaos.reference import Effect, Kind, SourceRecord

_PATIENCE_SECONDS: Final = 60.0
_BATCH: Final = 10_000
_STRANGE: Final = -1
"""The offset of an effect that names no record of its partition."""

_TOPICS: Final = {
    Kind.OUTPUTS: TOPICS.outputs,
    Kind.VERSIONS: TOPICS.versions,
    Kind.DEAD: TOPICS.dead,
    Kind.FORWARDED: TOPICS.forwarded,
}


def read_partition(
    bootstrap_servers: str, topic: str, partition: int, *, committed: bool = True
) -> list[Message]:
    """What a partition holds now, in its order.

    Args:
        bootstrap_servers: the broker.
        topic: the topic.
        partition: the partition.
        committed: as readers with read_committed see it; else with all that was aborted.

    Raises:
        UnavailableError: the broker says nothing for a minute.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "chaos-reader",  # librdkafka wants one; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "fetch.wait.max.ms": 20,
            "log_level": 0,
        }
    )
    found: list[Message] = []
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        while True:
            messages = consumer.consume(1, _PATIENCE_SECONDS)
            if not messages:
                raise UnavailableError(
                    Code.BROKER_UNAVAILABLE, f"{topic}[{partition}] can't be read to its end."
                )
            for message in [*messages, *consumer.consume(_BATCH, 0)]:
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - how confluent-kafka names it
                    return found
    finally:
        consumer.close()


def read_source(bootstrap_servers: str, partition: int) -> list[SourceRecord]:
    """The source's records."""
    return [
        SourceRecord(message.offset() or 0, message.key() or b"", message.value() or b"")
        for message in read_partition(bootstrap_servers, TOPICS.source, partition)
    ]


def read_effects(bootstrap_servers: str, kind: Kind, partition: int) -> list[Effect]:
    """What a stage wrote, as readers with read_committed see it."""
    return [
        Effect(_origin(message, kind, partition), message.key() or b"", message.value())
        for message in read_partition(bootstrap_servers, _TOPICS[kind], partition)
    ]


def _origin(message: Message, kind: Kind, partition: int) -> int:
    headers: dict[str, Any] = dict(message.headers() or ())
    if kind is Kind.DEAD:
        place: list[Any] = [headers.get("origin_partition"), headers.get("origin_offset")]
    else:
        place = (headers.get(ID_HEADER) or b"").split(b"-")
    match place:
        case [bytes() as there, bytes() as offset] if int(there) == partition:
            return int(offset)
    return _STRANGE


class Progress:
    """Asks how far a consumer group is; usable while the broker is away, which gives no answer."""

    def __init__(self, bootstrap_servers: str, group: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 0}
        )

    def committed(self) -> Sequence[int] | None:
        """The committed offset of each partition of the source, -1 for none; None: no answer."""
        places = [TopicPartition(TOPICS.source, number) for number in range(PARTITIONS)]
        try:
            found = self._consumer.committed(places, timeout=2)
        except KafkaException:
            return None
        if any(one.error is not None for one in found):
            return None
        return [max(one.offset, -1) for one in found]

    def close(self) -> None:
        """Ends it."""
        self._consumer.close()
