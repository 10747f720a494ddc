"""How much later a record is there because of a stage.

One reader sees a record twice: in the source, and in the output once that is committed. The time
between is what the stage adds; what the producer, the broker and the reader itself take is in both.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from calstream_core.errors import Code, UnavailableError
from calstream_ops.bench.engines import Calstream
from calstream_ops.bench.ground import PARTITIONS, Ground, Run
from calstream_ops.bench.load import value
from calstream_ops.bench.process import WorkerProcess

RECORDS_A_SECOND = 1000
_KEYS = 5000
_READY_SECONDS = 30.0
_POLL_SECONDS = 0.05
_LATE_SECONDS = 10.0
_WARM_UP = 0.15
_NANOSECONDS_A_MILLISECOND = 1e6
_TEXT = b"%-80d"


@dataclass(frozen=True, slots=True)
class Latencies:
    """Times in milliseconds, sorted."""

    milliseconds: Sequence[float]

    def percentile(self, percent: float) -> float:
        """The value below which so many percent are."""
        found = self.milliseconds
        return found[min(len(found) - 1, int(len(found) * percent / 100))]


@dataclass(frozen=True, slots=True)
class StageLatencies:
    """What one measurement saw.

    Attributes:
        added: from a record in the source to its output, both as a reader sees them.
        end_to_end: from before it was produced to its output.
    """

    added: Latencies
    end_to_end: Latencies


class Sightings:
    """When each record was seen, by the time that it carries."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._in_source: dict[int, int] = {}
        self._in_output: dict[int, int] = {}

    def see(self, topic: str, produced_at: int, now: int) -> None:
        """A record was seen.

        Args:
            topic: where.
            produced_at: its own time, in nanoseconds; no two have the same.
            now: the same clock.
        """
        seen = self._in_source if topic == self._source else self._in_output
        seen.setdefault(produced_at, now)

    def both(self) -> int:
        """How many were seen in both topics, if none is missing in one of them."""
        return min(len(self._in_source), len(self._in_output))

    def latencies(self) -> StageLatencies:
        """The times, without those of the first records."""
        order = sorted(self._in_output)
        steady = order[int(len(order) * _WARM_UP) :]
        out, source = self._in_output, self._in_source
        return StageLatencies(
            _sorted([max(0, out[each] - source[each]) for each in steady]),
            _sorted([out[each] - each for each in steady]),
        )


def measure_latency(ground: Ground, mode: str, seconds: float) -> StageLatencies:
    """Sends 1,000 records a second through a worker of ours.

    Raises:
        UnavailableError: the worker failed, or records did not come out.
    """
    engine = Calstream(mode, name=f"latency-{mode}")
    source = ground.topic(f"{engine.name}-source")
    with (
        ground.run(engine.name, source) as run,
        WorkerProcess(engine.name, engine.command(run)) as worker,
    ):
        worker.wait_for("ready", _READY_SECONDS)
        count = int(seconds * RECORDS_A_SECOND)
        pacer = threading.Thread(target=_produce_evenly, args=(run, count), name="pacer")
        pacer.start()
        try:
            return _watch(run, count, seconds, worker)
        finally:
            pacer.join()


def _watch(run: Run, count: int, seconds: float, worker: WorkerProcess) -> StageLatencies:
    consumer = _consumer(run)
    sightings = Sightings(run.source)
    give_up_at = time.monotonic() + seconds + _LATE_SECONDS
    try:
        while (found := sightings.both()) < count:
            message = consumer.poll(_POLL_SECONDS)
            if message is not None and message.error() is None:
                sightings.see(message.topic() or "", _produced_at(message), time.monotonic_ns())
            else:
                worker.check()
            if time.monotonic() > give_up_at:
                raise UnavailableError(
                    Code.PROCESS_FAILED, f"{count - found} of {count} records did not come out."
                )
    finally:
        consumer.close()
    return sightings.latencies()


def _produced_at(message: Message) -> int:
    return int(orjson.loads(message.value() or b"")["note"])


def _produce_evenly(run: Run, count: int) -> None:
    producer = Producer(
        {
            "bootstrap.servers": run.bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 0,
            "log_level": 2,
        }
    )
    producer.list_topics(run.source, timeout=_READY_SECONDS)
    began = time.monotonic()
    for number in range(count):
        wait = began + number / RECORDS_A_SECOND - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        key = number % _KEYS
        text = value(key, number, _TEXT % time.monotonic_ns())
        producer.produce(run.source, text, b"contact/%08d" % key, key % PARTITIONS)
        producer.poll(0)
    producer.flush(_READY_SECONDS)


def _consumer(run: Run) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": run.bootstrap_servers,
            "group.id": "bench-latency",  # librdkafka wants one; nothing is committed
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
            "log_level": 2,
        }
    )
    consumer.assign(
        [
            TopicPartition(topic, number, 0)
            for topic in (run.source, run.output)
            for number in range(PARTITIONS)
        ]
    )
    return consumer


def _sorted(nanoseconds: Sequence[int]) -> Latencies:
    return Latencies(sorted(each / _NANOSECONDS_A_MILLISECOND for each in nanoseconds))
