"""A Kafka producer for asyncio: idempotent, `acks=all`, one future for each record."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from calstream_core.errors import CalstreamError, Code, RecordError, UnavailableError

Headers = list[tuple[str, bytes]]

Outgoing = tuple[str, str | bytes | None, bytes | None, int, Headers | None]
"""A record to be written: topic, key, value, partition, headers."""

Report = Callable[[KafkaError | None, Message], None]
"""Told what became of a record."""

_ASK_SECONDS = 0.001
_ASK_SLOWLY_SECONDS = 0.01
_PATIENCE = 100


class AsyncProducer:
    """Sends records and tells when the broker has confirmed each.

    The event loop itself asks librdkafka for delivery reports, as long as any is outstanding: a
    thread that waits for them would contend with the loop for the interpreter at every record.
    Create it in the loop that uses it; close it before the loop ends.

    Args:
        bootstrap_servers: the broker.
        client_id: shown in the broker's logs and metrics.
        delivery_timeout_seconds: after which an unconfirmed record fails; it may still arrive.
        linger_milliseconds: how long a record may wait for company.
        max_queued: records that may be unconfirmed at once; one more is refused.
        client: further librdkafka settings, such as TLS and SASL.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        client_id: str,
        *,
        delivery_timeout_seconds: float = 30,
        linger_milliseconds: float = 1,
        max_queued: int = 100_000,
        client: dict[str, Any] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._unconfirmed = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "client.id": client_id,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": linger_milliseconds,
                "delivery.timeout.ms": int(delivery_timeout_seconds * 1000),
                "queue.buffering.max.messages": max_queued,
                "compression.type": "lz4",
                "allow.auto.create.topics": False,
                "reconnect.backoff.max.ms": 1000,
                # the application tells about failures; librdkafka's own log repeats them
                "log_level": 2,
                **(client or {}),
            }
        )
        self._asking: asyncio.TimerHandle | None = None
        self._asked_in_vain = 0

    def send(
        self,
        topic: str,
        key: str | bytes | None,
        value: bytes | None,
        *,
        partition: int,
        headers: Headers | None = None,
    ) -> asyncio.Future[None]:
        """Queues a record; does not block.

        Returns:
            A future that is done when the broker has confirmed the record, or that raises
            UnavailableError when it has not in time.

        Raises:
            UnavailableError: the queue is full, so the broker has been away for a while.
        """
        return self.send_all([(topic, key, value, partition, headers)])

    def send_all(self, records: Iterable[Outgoing]) -> asyncio.Future[None]:
        """Queues records, in order; does not block. One latch for all, not a future for each.

        Returns:
            A future that is done when the broker has confirmed all of them, or that raises
            UnavailableError when it has not in time, RecordError when a topic takes none that
            large; some of them may be there all the same.

        Raises:
            UnavailableError: the queue is full, so the broker has been away for a while; some of
                the records may be sent all the same.
            RecordError: one of them is too large; some may be sent all the same.
        """
        latch = _Latch(self._loop.create_future(), self._settled)
        produce, report = self._producer.produce, latch.report
        count = 0
        try:
            for topic, key, value, partition, headers in records:
                if headers is None:
                    produce(topic, value, key, partition, report)
                else:
                    produce(topic, value, key, partition, report, headers=[*headers])
                count += 1
        except BufferError as error:
            latch.future.cancel()
            raise _queue_full() from error
        except KafkaException as error:
            latch.future.cancel()
            raise _cannot_go_on(error) from error
        finally:
            self._unconfirmed += count
            latch.expect(count)
            self._ask_soon()
        return latch.future

    def post(self, record: Outgoing, report: Report, timestamp_milliseconds: int = 0) -> None:
        """Queues one record; `report` is called in the loop with its fate and its place.

        Raises:
            UnavailableError: the queue is full, so the broker has been away for a while.
        """

        def settled(error: KafkaError | None, message: Message) -> None:
            self._settled()
            report(error, message)

        topic, key, value, partition, headers = record
        try:
            self._producer.produce(
                topic,
                value,
                key,
                partition,
                settled,
                timestamp=timestamp_milliseconds,
                headers=[*(headers or [])],
            )
        except BufferError as error:
            raise _queue_full() from error
        except KafkaException as error:
            raise _cannot_go_on(error) from error
        self._unconfirmed += 1
        self._ask_soon()

    def partitions_of(self, topic: str, timeout_seconds: float = 5.0) -> int:
        """How many partitions a topic has; 0 if there is no such topic. Blocks."""
        try:
            found = self._producer.list_topics(topic, timeout=timeout_seconds).topics.get(topic)
        except KafkaException as error:
            raise _cannot_go_on(error) from error
        return 0 if found is None or found.error is not None else len(found.partitions)

    async def flush(self) -> None:
        """Waits until nothing is unconfirmed any more, whatever became of it."""
        await self._idle.wait()

    async def close(self) -> None:
        """Waits for what is unconfirmed; nothing may be sent any more."""
        await self.flush()

    def _ask_soon(self) -> None:
        if self._unconfirmed:
            self._idle.clear()
            if self._asking is None:
                self._ask_later()

    def _ask_later(self) -> None:
        # a broker that is away for a while need not be asked about every millisecond
        delay = _ASK_SECONDS if self._asked_in_vain < _PATIENCE else _ASK_SLOWLY_SECONDS
        self._asking = self._loop.call_later(delay, self._ask)

    def _ask(self) -> None:
        self._asking = None
        self._asked_in_vain = 0 if self._producer.poll(0) else self._asked_in_vain + 1
        if self._unconfirmed:
            self._ask_later()

    def _settled(self, count: int = 1) -> None:
        self._unconfirmed -= count
        if not self._unconfirmed:
            self._idle.set()


def _queue_full() -> UnavailableError:
    return UnavailableError(
        Code.BROKER_UNAVAILABLE, "Too many records wait for the broker.", hint="Is it up?"
    )


def _cannot_go_on(error: KafkaException) -> CalstreamError:
    return not_confirmed(error.args[0])


def not_confirmed(error: KafkaError) -> CalstreamError:
    """What it means that a record was not confirmed: mostly that the broker is away."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return RecordError(
            Code.RECORD_TOO_LARGE,
            "The topic takes no record that large.",
            hint="Raise its `max.message.bytes`.",
        )
    return UnavailableError(Code.BROKER_UNAVAILABLE, f"The broker did not confirm: {error.str()}.")


class _Latch:
    """Counts the delivery reports of records that were queued together."""

    __slots__ = ("_count", "_error", "_missing", "_settled", "future")

    def __init__(self, future: asyncio.Future[None], settled: Callable[[int], None]) -> None:
        self.future = future
        self._settled = settled
        self._count = 0
        self._missing = 0
        self._error: KafkaError | None = None

    def expect(self, count: int) -> None:
        """So many reports come or have come."""
        self._count = count
        self._missing += count
        if not self._missing:
            self._release()

    def report(self, error: KafkaError | None, _message: Message) -> None:
        """Called by librdkafka, in the loop."""
        if error is not None:
            self._error = error
        self._missing -= 1
        if not self._missing:
            self._release()

    def _release(self) -> None:
        self._settled(self._count)
        if self.future.done():  # the caller gave up waiting
            return
        if self._error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(not_confirmed(self._error))
