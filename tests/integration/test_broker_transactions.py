"""What a broker has confirmed as committed is there, in every partition, also after a SIGKILL.

A transaction ends in two steps: the coordinator notes that it is committed, which is when the
producer hears of it, and then writes a marker to each partition. Since 4.2 Kafka skips the marker
of a partition that has no leader at that moment, as after a crash (KAFKA-20734): such a version
must not be embedded.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from calstream_ops.stack import EmbeddedBroker

pytestmark = pytest.mark.broker

TOPICS = ("left", "middle", "right")
PARTITIONS = 16
COMMITS_BEFORE = 15


def producer_of(address: str, partition: int) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": address,
            "transactional.id": f"writer-{partition}",
            "linger.ms": 0,
            "log_level": 0,
        }
    )
    producer.init_transactions(60)
    return producer


class Writer:
    """Commits one number after the other to a partition of each topic, until it no longer can."""

    def __init__(self, address: str, partition: int) -> None:
        self.confirmed: list[int] = []
        self.is_busy = threading.Event()
        self._partition = partition
        self._producer = producer_of(address, partition)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        try:
            while True:
                number += 1
                self._producer.begin_transaction()
                for topic in TOPICS:
                    self._producer.produce(topic, b"%d" % number, partition=self._partition)
                self._producer.commit_transaction(2)
                self.confirmed.append(number)
                if number == COMMITS_BEFORE:
                    self.is_busy.set()
        except KafkaException:
            return  # the broker is away; what becomes of this number is not known

    def join(self) -> None:
        self._thread.join()


def committed(address: str, topic: str, partition: int) -> Sequence[int]:
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "reader",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 20,
        }
    )
    found = []
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        while True:
            message = consumer.poll(30)
            assert message is not None
            error = message.error()
            if error is None:
                found.append(int(message.value() or b""))
            else:
                assert error.code() == KafkaError._PARTITION_EOF
                return found
    finally:
        consumer.close()


def end(address: str, topic: str, partition: int, isolation: str) -> int:
    """The end of a partition; for readers with read_committed, before what is not decided."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "reader", "isolation.level": isolation}
    )
    try:
        _low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
    finally:
        consumer.close()
    return high


def test_what_is_committed_is_there_in_every_partition_after_the_broker_was_killed(
    tmp_path: Path,
) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        for made in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in TOPICS]).values():
            made.result(30)
        with ThreadPoolExecutor(PARTITIONS) as pool:
            writers = list(pool.map(partial(Writer, broker.address), range(PARTITIONS)))
        for writer in writers:
            assert writer.is_busy.wait(60)
        broker.kill()
        for writer in writers:
            writer.join()
        broker.start()
        with ThreadPoolExecutor(PARTITIONS) as pool:  # ends what was left open
            list(pool.map(partial(producer_of, broker.address), range(PARTITIONS)))
        for partition, writer in enumerate(writers):
            left, middle, right = (committed(broker.address, t, partition) for t in TOPICS)
            assert left == middle == right, partition
            assert left == list(range(1, len(left) + 1)), partition
            assert len(left) >= len(writer.confirmed), partition
            for topic in TOPICS:
                every = end(broker.address, topic, partition, "read_uncommitted")
                decided = end(broker.address, topic, partition, "read_committed")
                assert every == decided, (topic, partition)
