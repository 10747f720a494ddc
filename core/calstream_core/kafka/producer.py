"""A Kafka producer for asyncio: idempotent, `acks=all`, one future for each record."""

import asyncio

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from calstream_core.errors import Code, UnavailableError

Headers = list[tuple[str, bytes]]

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
    """

    def __init__(
        self,
        bootstrap_servers: str,
        client_id: str,
        *,
        delivery_timeout_seconds: float = 30,
        linger_milliseconds: float = 1,
        max_queued: int = 100_000,
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
        future: asyncio.Future[None] = self._loop.create_future()

        def report(error: KafkaError | None, _message: Message) -> None:
            self._settle(future, error)

        try:
            self._producer.produce(
                topic,
                key=key,
                value=value,
                partition=partition,
                headers=[*(headers or [])],
                on_delivery=report,
            )
        except BufferError as error:
            raise UnavailableError(
                Code.BROKER_UNAVAILABLE, "Too many records wait for the broker.", hint="Is it up?"
            ) from error
        except KafkaException as error:
            raise UnavailableError(
                Code.BROKER_UNAVAILABLE, f"The producer can't go on: {error.args[0].str()}."
            ) from error
        self._unconfirmed += 1
        self._idle.clear()
        if self._asking is None:
            self._ask_later()
        return future

    async def flush(self) -> None:
        """Waits until nothing is unconfirmed any more, whatever became of it."""
        await self._idle.wait()

    async def close(self) -> None:
        """Waits for what is unconfirmed; nothing may be sent any more."""
        await self.flush()

    def _ask_later(self) -> None:
        # a broker that is away for a while need not be asked about every millisecond
        delay = _ASK_SECONDS if self._asked_in_vain < _PATIENCE else _ASK_SLOWLY_SECONDS
        self._asking = self._loop.call_later(delay, self._ask)

    def _ask(self) -> None:
        self._asking = None
        self._asked_in_vain = 0 if self._producer.poll(0) else self._asked_in_vain + 1
        if self._unconfirmed:
            self._ask_later()

    def _settle(self, future: asyncio.Future[None], error: KafkaError | None) -> None:
        self._unconfirmed -= 1
        if not self._unconfirmed:
            self._idle.set()
        if future.done():  # the caller gave up waiting
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(
                UnavailableError(
                    Code.BROKER_UNAVAILABLE, f"The broker did not confirm: {error.str()}."
                )
            )
