"""A log that takes transactions, and a producer for it that fails as it is told to."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from confluent_kafka import KafkaError, KafkaException
from tests.unit.engine.fakes import PLACE, POSITIONS, TRUTH

from calstream_engine import writer as writer_module
from calstream_engine.state.memory import MemoryStore
from calstream_engine.work import Work
from calstream_engine.writer import PartitionWriter, WriterSettings

Written = tuple[str, bytes | None, bytes | None]
"""Topic, key and value."""

_CODE_OF_A_TIME_OUT = KafkaError._TIMED_OUT


def timed_out() -> KafkaException:
    """The broker has not answered yet."""
    return KafkaException(KafkaError(_CODE_OF_A_TIME_OUT, "late", retriable=True))


def must_abort(code: int = KafkaError._MSG_TIMED_OUT) -> KafkaException:
    """This transaction can't be committed; another one may."""
    return KafkaException(KafkaError(code, "lost a record", txn_requires_abort=True))


def final(code: int) -> KafkaException:
    """Nothing can be written any more."""
    return KafkaException(KafkaError(code, "it is over", fatal=True))


class Log:
    """What is committed, and what happens next at each call."""

    def __init__(self) -> None:
        self.transactions: list[list[Written]] = []
        self.calls: list[str] = []
        self.failures: dict[str, list[KafkaException | None]] = {}
        self.configuration: dict[str, Any] = {}
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.committing = threading.Event()
        self.reports = True
        self._ends: dict[str, int] = {}

    def called(self, name: str) -> None:
        self.calls.append(name)
        failures = self.failures.get(name)
        failure = failures.pop(0) if failures else None
        if failure is not None:
            raise failure

    def next_offset(self, topic: str) -> int:
        self._ends[topic] = self._ends.get(topic, 99) + 1
        return self._ends[topic]


class _Told:
    def __init__(self, topic: str, offset: int) -> None:
        self._topic = topic
        self._offset = offset

    def topic(self) -> str:
        return self._topic

    def offset(self) -> int:
        return self._offset


Report = Callable[[KafkaError | None, _Told], None]


class FakeProducer:
    """What `confluent_kafka.Producer` does in transactions."""

    def __init__(self, log: Log, configuration: dict[str, Any]) -> None:
        log.configuration = configuration
        self._log = log
        self._open: list[tuple[Written, Report | None]] = []

    def init_transactions(self, _timeout: float) -> None:
        self._log.called("init")

    def begin_transaction(self) -> None:
        self._log.called("begin")
        self._open = []

    def produce(  # noqa: PLR0917 - as the real one
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        on_delivery: Report | None = None,
        headers: Any = None,
    ) -> None:
        assert partition == PLACE.partition
        assert headers is None or isinstance(headers, list)
        self._open.append(((topic, key, value), on_delivery))

    def commit_transaction(self, _timeout: float) -> None:
        self._log.committing.set()
        self._log.may_commit.wait()
        self._log.called("commit")
        self._log.transactions.append([written for written, _ in self._open])
        for (topic, _key, _value), report in self._open:
            offset = self._log.next_offset(topic)
            if report is not None and self._log.reports:
                report(None, _Told(topic, offset))

    def abort_transaction(self, _timeout: float) -> None:
        self._log.called("abort")
        purged = KafkaError(KafkaError._PURGE_QUEUE)
        for (topic, _key, _value), report in self._open:
            if report is not None:
                report(purged, _Told(topic, -1001))
        self._open = []

    def close(self) -> None:
        self._log.called("close")


class WriterScene:
    """A writer of one partition with a table of state, which holds the positions, and a truth."""

    def __init__(self, log: Log, executor: ThreadPoolExecutor) -> None:
        self.log = log
        self.stores = {POSITIONS.name: MemoryStore(), TRUTH.name: MemoryStore()}
        self.writer = PartitionWriter(
            WriterSettings("totals", {"bootstrap.servers": "b:1"}, POSITIONS.name, executor),
            PLACE.partition,
        )

    def work(self, offset: int | None = None, **truths: bytes | None) -> Work:
        """Sets keys of the truth, sends each on, and is the batch before an offset."""
        specs = {spec.name: (spec, self.stores[spec.name]) for spec in (POSITIONS, TRUTH)}
        work = Work(PLACE.partition, specs)
        for key, value in truths.items():
            work[TRUTH.name].put(key.encode(), value)
            work.send("out", key.encode(), value)
        if offset is not None:
            work.position = (PLACE.topic, offset)
        return work


@contextmanager
def writer_scene() -> Iterator[WriterScene]:
    """For use inside a running loop."""
    log = Log()

    def producer(configuration: dict[str, Any]) -> FakeProducer:
        return FakeProducer(log, configuration)

    with ThreadPoolExecutor(2) as executor, patch.object(writer_module, "Producer", producer):
        yield WriterScene(log, executor)
