"""Restores stores from compacted topics, in bulk.

A thread reads the log with a consumer of its own and writes thousands of records at a time; no
record costs a task or a turn of the event loop. The log is read to its end as of read_committed,
so nothing of an open or aborted transaction gets in. Every write moves the store's checkpoint: a
restore that is interrupted goes on where it was.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from calstream_core.errors import Code, UnavailableError
from calstream_engine.records import offset_of
from calstream_engine.state.store import PartitionStore

_BATCH = 2_000
_POLL_SECONDS = 0.1
_TELL_EVERY_SECONDS = 2.0
_PATIENCE_SECONDS = 60.0
_log = structlog.get_logger()


@dataclass(slots=True)
class Restore:
    """One partition of a compacted topic, and the store to fill from it.

    Attributes:
        topic: the topic.
        partition: the partition.
        store: what is filled.
        records: how many records were read.
        remaining: how many offsets are left, as far as is known.
    """

    topic: str
    partition: int
    store: PartitionStore
    records: int = 0
    remaining: int = -1


def run_restore(
    bootstrap_servers: str,
    restores: Sequence[Restore],
    cancelled: Callable[[], bool],
    client: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Fills the stores; blocks until all are at their end. Call it in a thread.

    Args:
        bootstrap_servers: the broker.
        restores: what to fill. Their progress is updated while it runs.
        cancelled: asked often; once it says so, the restore ends at the next checkpoint.
        client: further librdkafka settings, such as TLS and SASL.

    Returns:
        Whether all are complete.

    Raises:
        UnavailableError: the broker says nothing for a minute.
    """
    waiting = {(one.topic, one.partition): one for one in restores}
    if not waiting:
        return True
    consumer = Consumer({**_configuration(bootstrap_servers), **client})
    try:
        consumer.assign(
            [TopicPartition(r.topic, r.partition, _start(consumer, r)) for r in restores]
        )
        heard_at = told_at = time.monotonic()
        while waiting and not cancelled():
            messages = _read(consumer)
            now = time.monotonic()
            if messages:
                heard_at = now
                _take_in(consumer, messages, waiting)
            elif now - heard_at > _PATIENCE_SECONDS:
                raise UnavailableError(
                    Code.BROKER_UNAVAILABLE,
                    f"State can't be restored: the broker has been silent for"
                    f" {_PATIENCE_SECONDS:.0f} s.",
                )
            if now - told_at > _TELL_EVERY_SECONDS:
                told_at = now
                _tell(restores)
    finally:
        consumer.close()
    return not waiting


def _configuration(bootstrap_servers: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap_servers,
        "group.id": "calstream-restore",  # librdkafka wants one; nothing is committed
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 50,
        "fetch.message.max.bytes": 1 << 20,
        "queued.min.messages": 10_000,
        "fetch.queue.backoff.ms": 10,
        "queued.max.messages.kbytes": 4096,
        "allow.auto.create.topics": False,
        "log_level": 2,
    }


def _start(consumer: Consumer, restore: Restore) -> int:
    """Where to read on; a store that is ahead of its log belongs to another log."""
    place = TopicPartition(restore.topic, restore.partition)
    try:
        low, high = consumer.get_watermark_offsets(place, timeout=10)
    except KafkaException as error:
        raise UnavailableError(
            Code.BROKER_UNAVAILABLE,
            f"State can't be restored from {restore.topic}: {error.args[0].str()}.",
        ) from error
    checkpoint = restore.store.checkpoint
    if checkpoint > high:
        _log.warning("state is ahead of its log, so it begins anew", topic=restore.topic)
        restore.store.reset()
        checkpoint = 0
    restore.remaining = high - max(low, checkpoint)
    return max(low, checkpoint)


def _read(consumer: Consumer) -> list[Message]:
    first = consumer.poll(_POLL_SECONDS)
    return [] if first is None else [first, *consumer.consume(_BATCH, 0)]


def _take_in(
    consumer: Consumer, messages: Sequence[Message], waiting: dict[tuple[str, int], Restore]
) -> None:
    records: dict[tuple[str, int], list[Message]] = {}
    ends = []
    for message in messages:
        place = (message.topic() or "", message.partition() or 0)
        error = message.error()
        if error is None:
            records.setdefault(place, []).append(message)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - how confluent-kafka names it
            ends.append((place, offset_of(message)))
    for place, found in records.items():
        restore = waiting.get(place)
        if restore is None:
            continue  # written since the end was reached: the owner's own, or read later
        checkpoint = offset_of(found[-1]) + 1
        changes = ((key, m.value()) for m in found if (key := m.key()) is not None)
        restore.store.apply(changes, checkpoint)
        restore.records += len(found)
        restore.remaining = max(0, restore.remaining - len(found))
    for place, offset in ends:
        restore = waiting.pop(place, None)
        if restore is not None:
            restore.store.apply((), max(offset, restore.store.checkpoint))
            restore.remaining = 0
            consumer.pause([TopicPartition(*place)])


def _tell(restores: Sequence[Restore]) -> None:
    _log.info(
        "restoring",
        records=sum(one.records for one in restores),
        remaining=sum(max(0, one.remaining) for one in restores),
    )
