"""Faust's producer on librdkafka: idempotent, `acks=all`, and it remembers what is not delivered.

Stock Faust only logs that a changelog record was not delivered, and commits the source all the
same. Here every send has a number; an event is done once everything that was sent before its
acknowledgement is delivered. What can't be delivered ends the worker, so the event is read again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from confluent_kafka import KafkaError, Message
from confluent_kafka.admin import AdminClient, NewTopic
from faust.streams import current_event
from faust.transport.producer import Producer as FaustProducer
from faust.types import TP, HeadersArg, RecordMetadata
from faust.types.tuples import FutureMessage
from mode import Seconds, want_seconds

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.kafka import AsyncProducer, verify_partitioner
from calstream_core.kafka.limits import REQUEST_BYTES
from calstream_core.kafka.partition import murmur2
from calstream_core.kafka.producer import not_confirmed
from calstream_engine.transport.messages import has_ended
from calstream_engine.watermark import Span, Watermark
from calstream_engine.work import check_size
from calstream_engine.writer import FencedError

_TOPIC_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_SIGN = 0x7FFFFFFF


class Producer(FaustProducer):
    """Sends what agents and tables of Faust's manual send, and the writes of plain mode."""

    _outbox: AsyncProducer | None = None

    @property
    def outbox(self) -> AsyncProducer:
        """The client, from the start on."""
        assert self._outbox is not None
        return self._outbox

    async def on_start(self) -> None:
        """Makes the client. Faust's own buffer is not started: nothing goes through it.

        Raises:
            InvariantError: keys would be hashed in another way than by Kafka's own clients.
        """
        verify_partitioner()
        settings = self.transport.engine.settings  # type: ignore[attr-defined]  # ours has it
        self._client = {"bootstrap.servers": settings.bootstrap_servers, **settings.client}
        self._outbox = AsyncProducer(
            settings.bootstrap_servers,
            settings.app,
            linger_milliseconds=1,
            max_queued=1_000_000,
            client={"message.max.bytes": REQUEST_BYTES, **settings.client},
        )
        self._sent = Watermark(0)
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._partition_counts: dict[str, int] = {}

    async def on_stop(self) -> None:
        """Waits for what is not delivered."""
        if self._outbox is not None:  # the start may have failed
            await self._outbox.close()

    async def send(  # noqa: PLR0917 - the base's signature
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
        *,
        transactional_id: str | None = None,  # noqa: ARG002 - the base's signature
    ) -> Awaitable[RecordMetadata]:
        """Queues a record.

        Returns:
            A future that is done once the broker has it.

        Raises:
            RecordError: it is too large for the broker.
        """
        return self._post(topic, key, value, partition, timestamp, headers)

    async def send_and_wait(self, *args: Any, **options: Any) -> RecordMetadata:
        """Sends a record and waits until the broker has it."""
        return await (await self.send(*args, **options))

    def send_soon(self, fut: FutureMessage) -> None:
        """Queues a record of a table or a topic at once, without a task in between.

        Raises:
            FencedError: it is sent while handling a record of a claim that has ended.
            RecordError: it is too large for the broker.
        """
        event = current_event()
        if event is not None and has_ended(event.message):
            raise FencedError(Code.WORKER_FENCED, "The partition is another worker's now.")
        message = fut.message
        topic: str = message.channel.get_topic_name()
        sent = self._post(
            topic,
            message.key,
            message.value,
            message.partition,
            message.timestamp,
            message.headers,
        )

        def published(done: asyncio.Future[RecordMetadata]) -> None:
            if done.cancelled():
                return
            if done.exception() is None:
                result = done.result()
                if not fut.done():  # whoever waited for it may have given up
                    fut.set_result(result)
                table: Any = self.app.tables._changelogs.get(topic)  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
                if table is not None:
                    table.data.delivered(result.partition, message.key, result.offset)
                if message.callback is not None and not fut.cancelled():
                    message.callback(fut)

        sent.add_done_callback(published)

    def when_delivered(self, act: Callable[[], None]) -> None:
        """Calls `act` once everything that was sent until now is delivered; maybe at once."""
        if self._sent.position == self._sent.read_to:
            act()
        else:
            self._waiting.append((self._sent.read_to, act))

    def _post(  # noqa: PLR0917 - the base's signature
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
    ) -> "asyncio.Future[RecordMetadata]":
        pairs = headers.items() if isinstance(headers, Mapping) else (headers or ())
        listed = [(name, text) for name, text in pairs]
        check_size(topic, key, value, listed)
        if partition is None:
            partition = self.key_partition(topic, key or b"").partition
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        span: Span

        def report(error: KafkaError | None, message: Message) -> None:
            self._reported(future, span, error, message)

        self.outbox.post(
            (topic, key, value, partition, listed), report, int((timestamp or 0) * 1000)
        )
        span = self._sent.begin(
            self._sent.read_to + 1
        )  # a record that is refused is not waited for
        return future

    def _reported(
        self,
        future: "asyncio.Future[RecordMetadata]",
        span: Span,
        error: KafkaError | None,
        message: Message,
    ) -> None:
        if error is not None:
            failure = not_confirmed(error)
            if not future.done():
                future.set_exception(failure)
                future.exception()  # looked at here: the app ends with it
            self._ending = asyncio.ensure_future(self.app.crash(failure))
            return
        topic, partition, offset = message.topic() or "", message.partition(), message.offset()
        assert partition is not None
        if not future.done():
            future.set_result(
                RecordMetadata(
                    topic=topic,
                    partition=partition,
                    topic_partition=TP(topic, partition),
                    offset=offset or 0,
                )
            )
        self._sent.done(span)
        while self._waiting and self._waiting[0][0] <= self._sent.position:
            self._waiting.popleft()[1]()

    def key_partition(self, topic: str, key: bytes) -> TP:
        """The partition of a key: murmur2, as everywhere. Asks the broker once a topic; blocks."""
        count = self.partition_count(topic)
        return TP(topic, (murmur2(key) & _SIGN) % count)

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            ConfigError: there is no such topic.
        """
        count = self._partition_counts.get(topic) or self.outbox.partitions_of(topic)
        if not count:
            raise ConfigError(
                Code.TOPICS_DIFFER,
                f"There is no topic {topic}.",
                hint="Topics are made before they are used: `calstream topic create`.",
            )
        self._partition_counts[topic] = count
        return count

    async def flush(self) -> None:
        """Waits until everything sent is delivered."""
        if self._outbox is not None:
            await self._outbox.flush()

    async def create_topic(
        self,
        topic: str,
        partitions: int,
        replication: int,
        *,
        config: Mapping[str, Any] | None = None,
        timeout: Seconds = 1000.0,  # noqa: ARG002, ASYNC109 - the base's signature
        retention: Seconds | None = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        ensure_created: bool = False,  # noqa: ARG002 - the base's signature
    ) -> None:
        """Creates a topic unless it is there."""
        policy = [name for name, on in (("compact", compacting), ("delete", deleting)) if on]
        settings = {**(config or {})}
        if policy:
            settings["cleanup.policy"] = ",".join(policy)
        if retention is not None:
            settings["retention.ms"] = int(want_seconds(retention) * 1000)
        await asyncio.to_thread(
            _create, self._client, NewTopic(topic, partitions, replication, config=settings)
        )
        await asyncio.to_thread(self._until_known, topic)

    def _until_known(self, topic: str) -> None:
        """Brokers hear of a new topic a moment after it is made."""
        give_up_at = time.monotonic() + _TOPIC_SECONDS
        while not self.outbox.partitions_of(topic):
            if time.monotonic() > give_up_at:
                raise UnavailableError(
                    Code.BROKER_UNAVAILABLE, f"{topic} was made, and the broker does not know it."
                )
            time.sleep(_PAUSE_SECONDS)

    def supports_headers(self) -> bool:
        """Headers are supported."""
        return True

    async def begin_transaction(self, transactional_id: str) -> NoReturn:
        """Refused: Faust's own transactions mix up partitions."""
        raise ConfigError(
            Code.ENGINE_UNSUPPORTED,
            f"Faust's exactly_once is not supported ({transactional_id}).",
            hint="Use the engine's transactional mode.",
        )


def _create(client: dict[str, Any], topic: NewTopic) -> None:
    admin = AdminClient({**client, "log_level": 2})  # lives until the answer is there
    (created,) = admin.create_topics([topic]).values()
    try:
        created.result(_TOPIC_SECONDS)
    except Exception as error:
        if getattr(error.args[0], "code", lambda: None)() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise UnavailableError(
                Code.BROKER_UNAVAILABLE, f"{topic.topic} can't be created: {error}."
            ) from error
