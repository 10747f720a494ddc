"""Injected failures: producers that fail at seeded moments, as brokers and networks make them fail.

`install` puts them in the place of the engine's own, in this process.
"""

import asyncio
import threading
from collections.abc import Iterable
from enum import StrEnum
from random import Random
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from calstream_core.errors import Code, UnavailableError
from calstream_core.kafka import AsyncProducer
from calstream_core.kafka.producer import Outgoing
from calstream_engine import writer
from calstream_engine.transport import producer
from calstream_ops.chaos.worker_events import INJECTED, say

_OF_A_TRANSACTION = 0.04
_OF_A_SEND = 0.02
_LAST_RECORDS = 40


class Kind(StrEnum):
    """How a transaction, or a send of plain mode, fails.

    Attributes:
        PRODUCE_REFUSED: in the middle of its records; it must be aborted.
        COMMIT_REFUSED: at its end; it must be aborted.
        COMMIT_LATE: the commit did not reach the broker in time.
        COMMIT_UNHEARD: it is committed, and the answer was lost.
        ABORT_FATAL: it must be aborted, and that ends the producer.
        COMMIT_FATAL: it ends the producer.
        FENCED: it ends the producer, as if another worker had the partition.
        SEND_REFUSED: nothing of a plain send was written.
        SEND_UNHEARD: a plain send was written, and the answer was lost.
    """

    PRODUCE_REFUSED = "produce-refused"
    COMMIT_REFUSED = "commit-refused"
    COMMIT_LATE = "commit-late"
    COMMIT_UNHEARD = "commit-unheard"
    ABORT_FATAL = "abort-fatal"
    COMMIT_FATAL = "commit-fatal"
    FENCED = "fenced"
    SEND_REFUSED = "send-refused"
    SEND_UNHEARD = "send-unheard"


_WEIGHTS = {
    Kind.PRODUCE_REFUSED: 24,
    Kind.COMMIT_REFUSED: 24,
    Kind.COMMIT_LATE: 20,
    Kind.COMMIT_UNHEARD: 20,
    Kind.ABORT_FATAL: 3,
    Kind.COMMIT_FATAL: 3,
    Kind.FENCED: 6,
}


class _Dice:
    """The process's random moments."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)  # noqa: S311 - seeded on purpose
        self._lock = threading.Lock()

    def transaction(self) -> tuple[Kind | None, int]:
        """How the next transaction fails, if it does, and at which of its records."""
        with self._lock:
            if self._random.random() >= _OF_A_TRANSACTION:
                return None, 0
            (kind,) = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
            return kind, self._random.randrange(_LAST_RECORDS)

    def send(self) -> Kind | None:
        """How the next send of plain mode fails, if it does."""
        with self._lock:
            if self._random.random() >= _OF_A_SEND:
                return None
            return self._random.choice([Kind.SEND_REFUSED, Kind.SEND_UNHEARD])


def install(seed: str) -> None:
    """From now on the engine's producers of this process fail at moments that the seed says."""
    dice = _Dice(seed)

    class Transactional(FailingProducer):
        def __init__(self, configuration: dict[str, Any]) -> None:
            super().__init__(dice, configuration)

    class Plain(FailingAsyncProducer):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(dice, *args, **options)

    writer.Producer = Transactional  # type: ignore[attr-defined, assignment]  # replaced on purpose
    producer.AsyncProducer = Plain  # type: ignore[attr-defined]  # replaced on purpose


class FailingProducer(Producer):
    """A transactional producer that fails now and then."""

    def __init__(self, dice: _Dice, configuration: dict[str, Any]) -> None:
        super().__init__(configuration)
        self._dice = dice
        self._kind: Kind | None = None
        self._records_left = 0
        self._is_committed = False

    def begin_transaction(self) -> None:
        """Begins, and settles how this transaction will fail."""
        self._is_committed = False
        self._kind, self._records_left = self._dice.transaction()
        super().begin_transaction()

    def produce(self, *args: Any, **options: Any) -> None:
        """Queues a record, or fails."""
        if self._kind is Kind.PRODUCE_REFUSED:
            if not self._records_left:
                self._fail(KafkaError.UNKNOWN_TOPIC_OR_PART, abort=True)
            self._records_left -= 1
        super().produce(*args, **options)

    def commit_transaction(self, *args: Any) -> None:
        """Commits, or fails."""
        match self._kind:
            case Kind.COMMIT_REFUSED:
                self._fail(KafkaError.UNKNOWN_TOPIC_OR_PART, abort=True)
            case Kind.ABORT_FATAL:
                say(INJECTED, kind=Kind.ABORT_FATAL)  # and the abort fails as well
                raise KafkaException(
                    KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "injected", False, False, True)
                )
            case Kind.COMMIT_LATE:
                self._fail(KafkaError._TIMED_OUT, retriable=True)  # noqa: SLF001 - how confluent-kafka names it
            case Kind.COMMIT_UNHEARD:
                super().commit_transaction(*args)
                self._is_committed = True
                self._fail(KafkaError._TIMED_OUT, retriable=True)  # noqa: SLF001 - how confluent-kafka names it
            case Kind.COMMIT_FATAL:
                self._fail(KafkaError._FATAL, fatal=True)  # noqa: SLF001 - how confluent-kafka names it
            case Kind.FENCED:
                self._fail(KafkaError._FENCED, fatal=True)  # noqa: SLF001 - how confluent-kafka names it
            case _:
                if not self._is_committed:  # asked again, librdkafka gives the answer that it has
                    super().commit_transaction(*args)

    def abort_transaction(self, *args: Any) -> None:
        """Aborts, or fails."""
        if self._kind is Kind.ABORT_FATAL:
            raise KafkaException(KafkaError(KafkaError._FATAL, "injected", True))  # noqa: SLF001 - how confluent-kafka names it
        super().abort_transaction(*args)

    def _fail(
        self, code: int, *, fatal: bool = False, retriable: bool = False, abort: bool = False
    ) -> None:
        assert self._kind is not None
        say(INJECTED, kind=self._kind)
        self._kind = None
        raise KafkaException(KafkaError(code, "injected", fatal, retriable, abort))


class FailingAsyncProducer(AsyncProducer):
    """A plain producer that fails now and then."""

    def __init__(self, dice: _Dice, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._dice = dice

    def send_all(self, records: Iterable[Outgoing]) -> "asyncio.Future[None]":
        """Sends, or fails before or after it."""
        kind = self._dice.send()
        if kind is None:
            return super().send_all(records)
        say(INJECTED, kind=kind)
        sent = super().send_all(records) if kind is Kind.SEND_UNHEARD else None
        return asyncio.ensure_future(_unheard(sent))


async def _unheard(sent: "asyncio.Future[None] | None") -> None:
    if sent is not None:
        await sent
    raise UnavailableError(Code.BROKER_UNAVAILABLE, "The broker did not confirm: injected.")
