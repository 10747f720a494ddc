"""Writes the source: a paced stream of records from a seed, on a thread of its own."""

import threading
import time
from random import Random
from typing import Final, Self

from confluent_kafka import KafkaError, Message, Producer

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import partition_of
from calstream_ops.chaos.job import FAILING_MARK, REJECTED_MARK
from calstream_ops.chaos.layout import PARTITIONS, TOPICS

_KEYS: Final = 600
_FAILING: Final = 0.003
_REJECTED: Final = 0.003
_STEP_SECONDS: Final = 0.01
_TRICKLE_PER_SECOND: Final = 150.0
_DELIVERY_SECONDS: Final = 120.0


class Source:
    """The writer of the source; a context that runs and ends its thread.

    When what it may write is written, it goes on at a trickle: whatever is waited for, records
    flow, so there may be somewhat more of them than were asked for.

    Attributes:
        written: the values of all records, in the order they were queued.
    """

    def __init__(self, bootstrap_servers: str, seed: int) -> None:
        self.written: list[bytes] = []
        self._random = Random(seed)  # noqa: S311 - seeded on purpose
        self._keys = [b"key-%04d" % number for number in range(_KEYS)]
        self._partitions = [partition_of(key.decode(), PARTITIONS) for key in self._keys]
        self._failed: KafkaError | None = None
        self._allowed = 0
        self._per_second = _TRICKLE_PER_SECOND
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-source", daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,
                "delivery.timeout.ms": int(_DELIVERY_SECONDS * 1000),
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )

    def allow(self, up_to: int, per_second: float) -> None:
        """Lets it write up to so many records in all, so fast."""
        self._per_second = per_second
        self._allowed = up_to

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def finish(self) -> None:
        """Writes no more; returns when the broker has everything.

        Raises:
            UnavailableError: it does not confirm a record, so nothing can be said about the rest.
        """
        self._stopping.set()
        self._thread.join()
        if self._producer.flush(_DELIVERY_SECONDS) or self._failed is not None:
            raise UnavailableError(
                Code.BROKER_UNAVAILABLE, f"The source could not be written: {self._failed}."
            )

    def _run(self) -> None:
        due = 0.0
        before = time.monotonic()
        while not self._stopping.wait(_STEP_SECONDS):
            now = time.monotonic()
            left = self._allowed - len(self.written)
            due += (now - before) * (self._per_second if left > 0 else _TRICKLE_PER_SECOND)
            before = now
            while due >= 1:
                self._write()
                due -= 1
            self._producer.poll(0)

    def _write(self) -> None:
        number = self._random.randrange(_KEYS)
        value = b"%d" % (len(self.written) + 1)
        luck = self._random.random()
        if luck < _FAILING:
            value = FAILING_MARK + value
        elif luck < _FAILING + _REJECTED:
            value = REJECTED_MARK + value
        self._producer.produce(
            TOPICS.source,
            value,
            self._keys[number],
            self._partitions[number],
            on_delivery=self._delivered,
        )
        self.written.append(value)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed = error
