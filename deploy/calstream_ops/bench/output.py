"""What came out of an engine: counted in the output topic, by the broker's own clock.

The topic has LogAppendTime, so the broker says when it got each record, whoever wrote it and
however busy the reader was. Only records that read_committed shows count.
"""

import time
from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from calstream_core.errors import Code, UnavailableError
from calstream_ops.bench.process import WorkerProcess

_LOOK_SECONDS = 0.1
_END = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # confluent-kafka has no types there
_NO_LEADER = KafkaError._NOENT  # noqa: SLF001 - how confluent-kafka names it
_READ_SECONDS = 60.0
_BATCH = 10_000
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of steady work.

    Attributes:
        records: outputs in it.
        seconds: how long it was.
        outputs: all outputs, before and after it too.
    """

    records: int
    seconds: float
    outputs: int

    @property
    def per_second(self) -> float:
        """Records a second."""
        return self.records / self.seconds


class Output:
    """An output topic of one run.

    Args:
        admin: a client of the broker.
        bootstrap_servers: the broker.
        topic: the topic, with LogAppendTime.
        partitions: its number of partitions.
    """

    def __init__(
        self, admin: AdminClient, bootstrap_servers: str, topic: str, partitions: int
    ) -> None:
        self._admin = admin
        self._bootstrap_servers = bootstrap_servers
        self._places = [TopicPartition(topic, number) for number in range(partitions)]

    def end(self) -> int:
        """The end offsets that read_committed sees, summed; markers of transactions included.

        A partition that has no leader yet counts as empty.
        """
        asked = self._admin.list_offsets(
            dict.fromkeys(self._places, _END),
            isolation_level=IsolationLevel.READ_COMMITTED,
        )
        found = 0
        for one in asked.values():
            try:
                found += one.result(_READ_SECONDS).offset
            except KafkaException as failure:
                error = failure.args[0]
                if not error.retriable() and error.code() != _NO_LEADER:
                    raise UnavailableError(
                        Code.BROKER_UNAVAILABLE, f"The output's end is not known: {error.str()}."
                    ) from failure
        return found

    def watch(self, records: int, box_seconds: float, worker: WorkerProcess) -> None:
        """Blocks until so many records are out, or for so long after the first one.

        Args:
            records: enough of them.
            box_seconds: after the first output.
            worker: whose output it is.

        Raises:
            UnavailableError: the worker ended, or gave nothing out for a minute.
        """
        began = time.monotonic()
        first: float | None = None
        while True:
            worker.check()
            end = self.end()
            now = time.monotonic()
            if end and first is None:
                first = now
            if end >= records or (first is not None and now - first > box_seconds):
                return
            if first is None and now - began > _READ_SECONDS:
                raise worker.failed(f"gave nothing out in {_READ_SECONDS:.0f} s")
            time.sleep(_LOOK_SECONDS)

    def window(self, warm_up_seconds: float) -> Window:
        """Reads the topic and finds the steady stretch; see `steady`.

        Raises:
            UnavailableError: the topic can't be read, or holds too little.
        """
        return steady(self._by_millisecond(), warm_up_seconds)

    def _by_millisecond(self) -> Counter[int]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "group.id": "bench-output",  # librdkafka wants one; nothing is committed
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "queued.min.messages": 200_000,
                "log_level": 2,
            }
        )
        found: Counter[int] = Counter()
        try:
            consumer.assign([TopicPartition(p.topic, p.partition, 0) for p in self._places])
            reading = len(self._places)
            give_up_at = time.monotonic() + _READ_SECONDS
            while reading:
                messages = consumer.consume(_BATCH, 0.05)
                for message in messages:
                    if message.error() is None:
                        found[message.timestamp()[1]] += 1
                    else:
                        reading -= 1
                if time.monotonic() > give_up_at:
                    raise UnavailableError(
                        Code.BROKER_UNAVAILABLE, "The output topic can't be read."
                    )
        finally:
            consumer.close()
        return found


def steady(counts: Counter[int], warm_up_seconds: float) -> Window:
    """The stretch from the warm-up's end to the last output.

    Args:
        counts: outputs by the millisecond in which they came.
        warm_up_seconds: after the first output; a third of the whole if that is less.

    Raises:
        UnavailableError: they all came at once, so there is no rate.
    """
    times = sorted(counts)
    if len(times) < 3:  # noqa: PLR2004 - a start, an end, and something in between
        raise UnavailableError(Code.PROCESS_FAILED, "Too little came out to tell a rate.")
    first, last = times[0], times[-1]
    warm_up = min(warm_up_seconds * _MILLISECONDS, (last - first) / 3)
    start = next(at for at in times if at >= first + warm_up)
    # what came in the first millisecond was worked on before it
    records = sum(count for at, count in counts.items() if at > start)
    return Window(records, (last - start) / _MILLISECONDS, counts.total())
