"""How long a record takes from its producer through a stage to a read_committed consumer."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from calstream_core.errors import Code, UnavailableError
from calstream_ops.bench.engines import Calstream
from calstream_ops.bench.ground import PARTITIONS, Ground
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
    """Times from produce to consume, in milliseconds, sorted."""

    milliseconds: Sequence[float]

    def percentile(self, percent: float) -> float:
        """The value below which so many percent are."""
        found = self.milliseconds
        return found[min(len(found) - 1, int(len(found) * percent / 100))]


def measure_direct(ground: Ground, seconds: float) -> Latencies:
    """Without a stage in between: what the clients and the broker take."""
    topic = ground.topic("direct")
    return _measure(ground.bootstrap_servers, topic, topic, seconds, _nothing)


def measure_latency(ground: Ground, mode: str, seconds: float) -> Latencies:
    """End to end through a worker of ours, at 1,000 records a second.

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
        return _measure(ground.bootstrap_servers, source, run.output, seconds, worker.check)


def _measure(
    bootstrap_servers: str, source: str, output: str, seconds: float, check: Callable[[], None]
) -> Latencies:
    """Produces at an even pace and reads what comes out; the first part is warm-up."""
    count = int(seconds * RECORDS_A_SECOND)
    consumer = _consumer(bootstrap_servers, output)
    pacer = threading.Thread(
        target=_produce_evenly, args=(bootstrap_servers, source, count), name="pacer"
    )
    found: list[float] = []
    pacer.start()
    try:
        give_up_at = time.monotonic() + seconds + _LATE_SECONDS
        while len(found) < count:
            message = consumer.poll(_POLL_SECONDS)
            if message is not None and message.error() is None:
                sent = int(orjson.loads(message.value() or b"")["note"])
                found.append((time.monotonic_ns() - sent) / _NANOSECONDS_A_MILLISECOND)
            elif time.monotonic() > give_up_at:
                raise UnavailableError(
                    Code.PROCESS_FAILED,
                    f"{count - len(found)} of {count} records did not come out.",
                )
            else:
                check()
    finally:
        pacer.join()
        consumer.close()
    return Latencies(sorted(found[int(count * _WARM_UP) :]))


def _produce_evenly(bootstrap_servers: str, topic: str, count: int) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 0,
            "log_level": 2,
        }
    )
    producer.list_topics(topic, timeout=_READY_SECONDS)
    began = time.monotonic()
    for number in range(count):
        wait = began + number / RECORDS_A_SECOND - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        key = number % _KEYS
        text = value(key, number, _TEXT % time.monotonic_ns())
        producer.produce(topic, text, b"contact/%08d" % key, key % PARTITIONS)
        producer.poll(0)
    producer.flush(_READY_SECONDS)


def _consumer(bootstrap_servers: str, topic: str) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "bench-latency",  # librdkafka wants one; nothing is committed
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
            "log_level": 2,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    return consumer


def _nothing() -> None:
    """There is no worker that could have ended."""
