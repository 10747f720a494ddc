"""An installation of the product for one run of a bench: its topics, read and written."""

import hashlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import tomlkit
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import partition_of
from calstream_core.settings import Settings, load_settings
from calstream_ops.bench.bookings import WORKSPACE
from calstream_ops.bench.resolve_scene import COUNTRY, Written
from calstream_ops.topics import TopicAdmin
from calstream_schemas.topics import Topic, full_name

_FLUSH_SECONDS = 120.0
_POLL_EVERY = 5_000
_FULL_SECONDS = 0.05
_SILENT_SECONDS = 120.0
_WAIT_SECONDS = 0.1


class Installation:
    """Its topics are made, all of them empty.

    Args:
        root: where its files go; one that ran there before leaves its keys.
        bootstrap_servers: the broker.
        name: a name that no other one has.
    """

    def __init__(self, root: Path, bootstrap_servers: str, name: str) -> None:
        self.file = root / f"{name}.toml"
        config = {
            "state": {"directory": str(root / "state")},
            "kafka": {"bootstrap_servers": bootstrap_servers, "topic_prefix": f"{name}."},
            "workspaces": {WORKSPACE: {"default_country": COUNTRY}},
        }
        self.file.write_text(tomlkit.dumps(config), "utf-8")
        self.settings: Settings = load_settings(self.file, {}).settings
        self.partition = partition_of(WORKSPACE, self.settings.kafka.partitions)
        self.bootstrap_servers = bootstrap_servers
        TopicAdmin(bootstrap_servers, self.settings).create()
        self._asking = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": "bench-asking", "log_level": 2}
        )

    def topic(self, topic: Topic) -> str:
        """A topic's name at the broker."""
        return full_name(topic, self.settings.kafka)

    def end(self, topic: Topic) -> int:
        """The offset behind the last record of the workspace's partition."""
        place = TopicPartition(self.topic(topic), self.partition)
        _, end = self._asking.get_watermark_offsets(place)
        return end

    def write(self, topic: Topic, records: Iterable[Written]) -> None:
        """Writes records to the workspace's partition; blocks until the broker has all of them.

        Raises:
            UnavailableError: the broker did not confirm.
        """
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "batch.num.messages": 10_000,
                "queue.buffering.max.messages": 100_000,
                "compression.type": "lz4",
                "log_level": 2,
            }
        )
        failures: list[KafkaError] = []

        def report(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error)

        name = self.topic(topic)
        for number, (key, value, headers) in enumerate(records):
            while True:
                try:
                    producer.produce(
                        name, value, key, self.partition, report, headers=[*(headers or [])]
                    )
                except BufferError:
                    producer.poll(_FULL_SECONDS)
                else:
                    break
            if not number % _POLL_EVERY:
                producer.poll(0)
        if producer.flush(_FLUSH_SECONDS) or failures:
            reason = failures[0] if failures else KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 - how confluent-kafka names it
            raise UnavailableError(
                Code.BROKER_UNAVAILABLE, f"{name} could not be filled: {reason.str()}."
            ) from KafkaException(reason)


class Reader:
    """Reads what a topic gets from now on, as read_committed shows it.

    Attributes:
        count: how many records came.
        last: a hash of the newest value of each key.

    Args:
        installation: whose topic.
        topic: the topic.
    """

    def __init__(self, installation: Installation, topic: Topic) -> None:
        self.count = 0
        self.last: dict[bytes, bytes] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": installation.bootstrap_servers,
                "group.id": "bench-reader",  # librdkafka wants one; nothing is committed
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "log_level": 2,
            }
        )
        places = []
        for number in range(installation.settings.kafka.partitions):
            place = TopicPartition(installation.topic(topic), number)
            _, place.offset = self._consumer.get_watermark_offsets(place)
            places.append(place)
        self._consumer.assign(places)

    def until(self, is_done: Callable[[], bool]) -> float:
        """Reads until something is done, and all that was written by then.

        Args:
            is_done: asked again and again; raises if it will never be.

        Returns:
            When the last record came, by the monotonic clock.

        Raises:
            UnavailableError: nothing came for two minutes.
        """
        heard_at, done = time.monotonic(), False
        while True:
            messages = self._consumer.consume(1000, _WAIT_SECONDS)
            for message in messages:
                if message.error() is None:
                    self.count += 1
                    heard_at = time.monotonic()
                    self.last[message.key() or b""] = hashlib.sha256(
                        message.value() or b""
                    ).digest()
            if done and not messages:
                return heard_at
            done = is_done()
            if time.monotonic() - heard_at > _SILENT_SECONDS:
                raise UnavailableError(
                    Code.BROKER_UNAVAILABLE, f"{self.count} records came, and then no more."
                )

    def close(self) -> None:
        """Reads no more."""
        self._consumer.close()
