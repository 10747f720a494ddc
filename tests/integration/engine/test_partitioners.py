"""Every client that we use puts a key on the partition that Kafka's own client would."""

from pathlib import Path

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from confluent_kafka import Producer
from tests.integration.engine.faust_apps import faust_app
from tests.integration.engine.topics import Topics
from tests.integration.engine.workers import Workers

from calstream_core.errors import InvariantError
from calstream_core.kafka import partition as partition_module
from calstream_core.kafka.partition import GOLDEN, murmur2

pytestmark = pytest.mark.broker

PARTITIONS = 7
KEYS = [*GOLDEN, b"k", b"\xff\x00\xfe", *(b"workspace-%d" % n for n in range(20))]


def _expected(key: bytes) -> int:
    return (murmur2(key) & 0x7FFFFFFF) % PARTITIONS


def _found(topics: Topics, topic: str) -> dict[bytes | None, int]:
    return {m.key(): n for n in range(PARTITIONS) for m in topics.read(topic, n)}


def test_librdkafka_s_partitioner_agrees(topics: Topics) -> None:
    topic = topics.make("keys", PARTITIONS)
    producer = Producer(
        {"bootstrap.servers": topics.bootstrap_servers, "partitioner": "murmur2_random"}
    )
    for key in KEYS:
        producer.produce(topic, b"v", key)
    assert producer.flush(60) == 0
    assert _found(topics, topic) == {key: _expected(key) for key in KEYS}


def test_aiokafka_s_hash_agrees() -> None:
    for key in KEYS:
        assert murmur2_of_aiokafka(key) & 0x7FFFFFFF == murmur2(key) & 0x7FFFFFFF


async def test_what_an_app_sends_without_a_partition_agrees(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    topic = topics.make("keys", PARTITIONS)
    app = faust_app(topics, tmp_path, topics.name("app"))
    out = app.topic(topic, key_type=bytes, value_type=bytes)
    worker = await workers.start(app)
    for key in KEYS:
        await (await out.send(key=key, value=b"v"))
    await worker.stop()
    assert _found(topics, topic) == {key: _expected(key) for key in KEYS}


async def test_a_worker_whose_hash_is_another_does_not_start(
    topics: Topics, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_module, "murmur2", lambda _data: 1)
    app = faust_app(topics, tmp_path, topics.name("app"))
    assert isinstance(await workers.run(app).until_ended(), InvariantError)
