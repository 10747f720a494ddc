"""The demonstration's own look at the log: how far topics are, what they hold, how long it took."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_core.settings import KafkaSettings
from calstream_schemas.codec import Poison
from calstream_schemas.ledger import LedgerState, decode_ledger_entry
from calstream_schemas.topics import (
    ENTITIES,
    OBSERVATIONS,
    REJECTED,
    WEBHOOKS,
    full_name,
    sink_ledger,
)

_PIPELINE = (WEBHOOKS, REJECTED, OBSERVATIONS, ENTITIES)


@dataclass(frozen=True, slots=True)
class Counts:
    """What `entities` holds."""

    entities: int
    versions: int


class TopicLog:
    """Reads topics of the demonstration's broker; blocks."""

    def __init__(self, bootstrap_servers: str, kafka: KafkaSettings) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._kafka = kafka
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})

    def ends(self) -> dict[str, int]:
        """The ends of the pipeline's topics: offsets, transactions' markers included."""
        topics = {t.name: full_name(t, self._kafka) for t in _PIPELINE}
        asked = {
            TopicPartition(topic, partition): OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no types
            for topic in topics.values()
            for partition in range(self._kafka.partitions)
        }
        totals = dict.fromkeys(topics, 0)
        names = {full: name for name, full in topics.items()}
        for partition, future in self._admin.list_offsets(asked).items():
            totals[names[partition.topic]] += future.result().offset
        return totals

    def counts(self) -> Counts:
        """Entities and versions so far."""
        keys, versions = set(), 0
        for message in self._read(full_name(ENTITIES, self._kafka)):
            keys.add(message.key())
            versions += 1
        return Counts(len(keys), versions)

    def lags_seconds(self, sink: str) -> list[float]:
        """For each confirmed write: from the accepted webhook to the vendor's confirmation."""
        seen, lags = set(), []
        for message in self._read(full_name(sink_ledger(sink), self._kafka)):
            entry = decode_ledger_entry(message.value() or b"")
            if isinstance(entry, Poison) or entry.state is not LedgerState.DONE:
                continue
            if entry.received_at is None or entry.confirmed_at is None:
                continue
            write = (message.key(), entry.confirmed_at)
            if write not in seen:
                seen.add(write)
                lags.append((entry.confirmed_at - entry.received_at) / MICROSECONDS_PER_SECOND)
        return lags

    def _read(self, topic: str) -> Iterator[Message]:
        """Every record that the topic holds now."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "group.id": "calstream-demo",
                "log_level": 0,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        consumer.assign([TopicPartition(topic, p, 0) for p in range(self._kafka.partitions)])
        open_partitions = self._kafka.partitions
        try:
            while open_partitions:
                first = consumer.poll(
                    1.0
                )  # waits for one; `consume` waits for all it was asked for
                for message in [first, *consumer.consume(1000, 0)] if first else ():
                    error = message.error()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - how confluent-kafka names it
                        open_partitions -= 1
        finally:
            consumer.close()


def percentile(values: list[float], share: int) -> float | None:
    """The value below which `share` percent of the values lie; None without values."""
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]
