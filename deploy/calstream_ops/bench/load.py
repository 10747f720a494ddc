"""The records of a bench: JSON with a time of change, the same for every engine."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from calstream_core.errors import Code, UnavailableError

_QUEUED = 200_000
_POLL_EVERY = 5_000
_FULL_SECONDS = 0.05
_FLUSH_SECONDS = 120.0
_MILLISECONDS_A_DAY = 24 * 60 * 60 * 1000
_HEX_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Load:
    """Records of some keys, in an order that a seed decides.

    Each is newer than all before it, so that a job which compares times takes every one of them.

    Attributes:
        count: how many records.
        keys: how many keys they are spread over, at random.
        partitions: of the topic; a key is always in the same one.
        value_bytes: the length of a value.
        seed: decides the order.
        every_key_once: each key once and in order, for the state of a table; `count` is `keys`.
    """

    count: int
    keys: int
    partitions: int
    value_bytes: int
    seed: int = 1
    every_key_once: bool = False

    def records(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Partition, key and value of each record."""
        choose = random.Random(self.seed)  # noqa: S311 - repeatable on purpose
        padding = choose.randbytes(self.value_bytes * 4).hex().encode()
        length = self.value_bytes - len(value(0, 0, b""))
        for number in range(self.count):
            key = number if self.every_key_once else choose.randrange(self.keys)
            # no two keys have the same text, or compression would make the records smaller
            start = key * _HEX_DIGITS % (len(padding) - length)
            yield (
                key % self.partitions,
                b"contact/%08d" % key,
                value(key, number, padding[start : start + length]),
            )


def value(key: int, number: int, text: bytes) -> bytes:
    """A record's value: JSON of a fixed length; `number` decides its time of change."""
    second, millisecond = divmod(number % _MILLISECONDS_A_DAY, 1000)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return (
        b'{"id":"contact/%08d","workspace":"acme","kind":"contact",'
        b'"last_modified":"2026-11-20T%02d:%02d:%02d.%03dZ",'
        b'"version":%010d,"email":"p%08d@example.com","note":"%s"}'
    ) % (key, hour, minute, second, millisecond, number + 1_000_000_000, key, text)


def produce(bootstrap_servers: str, topic: str, load: Load) -> float:
    """Writes a load to a topic; blocks until the broker has all of it.

    Returns:
        The seconds it took.

    Raises:
        UnavailableError: the broker did not confirm.
    """
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 20,
            "batch.num.messages": 10_000,
            "queue.buffering.max.messages": _QUEUED,
            "compression.type": "lz4",
            "log_level": 2,
        }
    )
    failures: list[KafkaError] = []

    def report(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    started = time.perf_counter()
    for number, (partition, key, text) in enumerate(load.records()):
        while True:
            try:
                producer.produce(topic, text, key, partition, report)
            except BufferError:
                producer.poll(_FULL_SECONDS)
            else:
                break
        if not number % _POLL_EVERY:
            producer.poll(0)
    missing = producer.flush(_FLUSH_SECONDS)
    if missing or failures:
        reason = failures[0] if failures else KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 - how confluent-kafka names it
        raise UnavailableError(
            Code.BROKER_UNAVAILABLE, f"{topic} could not be filled: {reason.str()}."
        ) from KafkaException(reason)
    return time.perf_counter() - started
