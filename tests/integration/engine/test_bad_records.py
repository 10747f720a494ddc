"""Whatever record comes has an outcome, and none stops the stream."""

import gzip
import os
from typing import Any

import pytest
from confluent_kafka import Message, Producer
from tests.integration.engine.topics import Topics
from tests.integration.engine.transactional_apps import OUT, Names, transactional_app
from tests.integration.engine.workers import Workers

from calstream_core.errors import CalstreamError, Code, RecordError
from calstream_core.kafka.limits import DEAD_TOPIC_BYTES, MAX_DEAD_LETTER_BYTES, MAX_RECORD_BYTES
from calstream_engine import (
    Batch,
    DeadLetterLimit,
    Mode,
    Work,
)
from calstream_engine.failures import WorkerStopError
from calstream_engine.work import position_key

pytestmark = pytest.mark.broker

YEAR_9999 = 253_402_300_799_000
EVERY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1)}
KAFKAS_LIMIT_BYTES = 1_048_588
BATCH_OVERHEAD_BYTES = 200


def _headers(message: Message) -> dict[str, bytes]:
    headers: Any = message.headers()
    return dict(headers)


def _codes(topics: Topics, dead: str) -> list[tuple[bytes | None, bytes | None, str]]:
    """Key, value and code of the dead letters."""
    return [
        (m.key(), m.value() and (m.value() or b"")[:20], _headers(m)["error_code"].decode())
        for m in topics.read(dead)
    ]


def strict(batch: Batch, work: Work) -> None:
    """Forwards what belongs to workspace `acme`; a tombstone removes, `grow` is too large."""
    for record in batch:
        key, value = record.key(), record.value()
        if key is None:
            raise RecordError(Code.RECORD_UNREADABLE, "no key")
        if key.partition(b"/")[0] != b"acme":
            raise RecordError(Code.WORKSPACE_MISMATCH, "another's", field="key")
        stored = b"x" * (MAX_RECORD_BYTES + 1) if value == b"grow" else value
        if work["state"].is_writable:
            work["state"].put(key, stored)
        _kind, milliseconds = record.timestamp()
        work.send(OUT, key, stored, headers=[("at", b"%d" % milliseconds)])


BAD: list[tuple[bytes | None, bytes | None]] = [
    (None, b"keyless"),
    (b"other/1", b"of another workspace"),
    (b"acme/1", b"grow"),
    (b"", b"an empty key"),
]


def _dead_topic(topics: Topics, name: str) -> str:
    """As the catalogue makes it."""
    return topics.make_named(topics.name(name), 1, {"max.message.bytes": str(DEAD_TOPIC_BYTES)})


@pytest.mark.parametrize("mode", Mode)
async def test_every_strange_record_has_its_outcome_and_the_stream_goes_on(
    topics: Topics, workers: Workers, mode: Mode
) -> None:
    names = Names.make(topics)
    source = topics.make_named(topics.name("source"), 1, EVERY_TIME)
    topics.put(source, [(b"acme/1", b"good"), *BAD, (b"acme/2", b"good")])
    topics.put(source, [(b"acme/1", None)])  # a tombstone
    topics.put(source, [(b"acme/old", b"1970")], timestamp_milliseconds=1)
    topics.put(source, [(b"acme/new", b"9999")], timestamp_milliseconds=YEAR_9999)
    app = _app(topics, names, source, mode)
    worker = await workers.start(app)
    await topics.until_committed(names.app, source, 9)
    await worker.stop()
    assert _codes(topics, names.dead) == [
        (None, b"keyless", "record-unreadable"),
        (b"other/1", b"of another workspace", "workspace-mismatch"),
        (b"acme/1", b"grow", "record-too-large"),
        (b"", b"an empty key", "workspace-mismatch"),
    ]
    letters = [_headers(m) for m in topics.read(names.dead)]
    assert [int(letter["origin_offset"]) for letter in letters] == [1, 2, 3, 4]
    assert letters[1]["error_field"] == b"key"
    sent = topics.read(names.out)
    assert [(m.key(), m.value()) for m in sent] == [
        (b"acme/1", b"good"),
        (b"acme/2", b"good"),
        (b"acme/1", None),
        (b"acme/old", b"1970"),
        (b"acme/new", b"9999"),
    ]
    assert [int(_headers(m)["at"]) for m in sent[3:]] == [1, YEAR_9999]
    if mode is Mode.TRANSACTIONAL:
        state = topics.latest(names.state)
        assert {b"acme/2": b"good", b"acme/old": b"1970", b"acme/new": b"9999"}.items() <= (
            state.items()
        )
        assert b"acme/1" not in state


def _app(topics: Topics, names: Names, source: str, mode: Mode) -> Any:
    given = Names(names.app, source, names.state, names.truth, names.out, names.dead)
    return transactional_app(topics, given, handler=strict, mode=mode)


@pytest.mark.parametrize("milliseconds", [1, YEAR_9999], ids=["1970", "9999"])
async def test_a_dead_letter_keeps_its_record_s_strange_time(
    topics: Topics, workers: Workers, milliseconds: int
) -> None:
    names = Names.make(topics)
    source = topics.make_named(topics.name("source"), 1, EVERY_TIME)
    topics.put(source, [(None, b"keyless")], timestamp_milliseconds=milliseconds)
    worker = await workers.start(_app(topics, names, source, Mode.TRANSACTIONAL))
    await topics.until_committed(names.app, source, 1)
    await worker.stop()
    (letter,) = topics.read(names.dead)
    assert int(_headers(letter)["origin_timestamp"]) == milliseconds


def _refuse(_batch: Batch, _work: Work) -> None:
    raise ValueError


def _refusing(topics: Topics, source: str, dead: str, mode: Mode, **changes: Any) -> Any:
    """An app that can handle nothing; in either mode it has no table but that of its positions."""
    names = Names(
        topics.name("app"),
        source,
        topics.make("state", cleanup_policy="compact"),
        topics.make("truth", cleanup_policy="compact"),
        "nowhere",
        dead,
    )
    app = transactional_app(topics, names, handler=_refuse, mode=mode, **changes)
    return app, names.app, names.state


def _position(topics: Topics, state: str, source: str) -> int:
    """How far a source is done, as the state has it."""
    return int(topics.latest(state)[position_key(source)])


@pytest.mark.parametrize("mode", Mode)
async def test_a_record_of_kafka_s_limit_fits_into_the_dead_letters_with_its_headers(
    topics: Topics, workers: Workers, mode: Mode
) -> None:
    source, dead = topics.make("source"), _dead_topic(topics, "dead")
    value = os.urandom(KAFKAS_LIMIT_BYTES - BATCH_OVERHEAD_BYTES)
    topics.put(source, [(b"k", value), (b"k", b"small")], headers=[("h", b"x" * 50)])
    app, name, _ = _refusing(topics, source, dead, mode)
    worker = await workers.start(app)
    await topics.until_committed(name, source, 2)
    await worker.stop()
    assert topics.values(dead) == [value, b"small"]
    assert _headers(topics.read(dead)[0])["h"] == b"x" * 50


@pytest.mark.parametrize("mode", Mode)
async def test_a_record_that_unpacks_to_more_than_any_topic_takes_is_cut(
    topics: Topics, workers: Workers, mode: Mode
) -> None:
    source, dead = topics.make("source"), _dead_topic(topics, "dead")
    value = b"\0" * (MAX_DEAD_LETTER_BYTES + 1000)
    _put_compressed(topics, source, value)
    app, name, _ = _refusing(topics, source, dead, mode)
    worker = await workers.start(app)
    await topics.until_committed(name, source, 1)
    await worker.stop()
    (letter,) = topics.read(dead)
    assert value.startswith(letter.value() or b"-")
    assert len(letter.value() or b"") > MAX_DEAD_LETTER_BYTES - 1000
    assert int(_headers(letter)["error_cut_from_bytes"]) == len(value) + len(b"k")


def _put_compressed(topics: Topics, topic: str, value: bytes) -> None:
    producer = Producer(
        {
            "bootstrap.servers": topics.bootstrap_servers,
            "compression.type": "lz4",
            "message.max.bytes": 20_000_000,
        }
    )
    assert len(gzip.compress(value)) < KAFKAS_LIMIT_BYTES
    failed: list[Any] = []
    producer.produce(topic, value, b"k", 0, lambda error, _message: failed.append(error))
    assert producer.flush(60) == 0
    assert failed == [None]


@pytest.mark.parametrize("mode", Mode)
async def test_a_topic_that_does_not_take_a_dead_letter_stops_the_worker_with_a_hint(
    topics: Topics, workers: Workers, mode: Mode
) -> None:
    """It was not made as the catalogue says; nothing is lost, and nothing is tried for ever."""
    source, dead = topics.make("source"), topics.make("dead")
    topics.put(source, [(b"k", os.urandom(KAFKAS_LIMIT_BYTES - BATCH_OVERHEAD_BYTES))])
    app, name, _ = _refusing(topics, source, dead, mode)
    error = await workers.run(app).until_ended()
    assert isinstance(error, WorkerStopError | RecordError), error
    assert error.code is Code.RECORD_TOO_LARGE
    assert "max.message.bytes" in error.hint
    assert topics.committed(name, source) in {None, 0}
    assert topics.values(dead) == []


async def test_too_many_dead_letters_stop_the_worker_and_the_last_batch_is_not_committed(
    topics: Topics, workers: Workers
) -> None:
    source, dead = topics.make("source"), _dead_topic(topics, "dead")
    topics.put(source, [(b"k", b"%d" % n) for n in range(100)])
    limit = DeadLetterLimit(consecutive=7)
    app, _, state = _refusing(topics, source, dead, Mode.TRANSACTIONAL, limit=limit)
    error = await workers.run(app).until_ended()
    assert isinstance(error, WorkerStopError)
    assert error.code is Code.DEAD_LETTER_LIMIT
    assert topics.values(dead) == [b"%d" % n for n in range(7)]
    assert _position(topics, state, source) == 7


async def test_too_many_a_minute_stop_the_worker_too(topics: Topics, workers: Workers) -> None:
    names = Names.make(topics)
    orders = [b"+a", b"bad"] * 20
    topics.put(names.source, [(None, order) for order in orders])
    app = transactional_app(topics, names, limit=DeadLetterLimit(per_minute=5))
    error = await workers.run(app).until_ended()
    assert isinstance(error, CalstreamError)
    assert error.code is Code.DEAD_LETTER_LIMIT
    assert len(topics.values(names.dead)) <= 5
    # state and dead letters are of one history
    handled = int(topics.latest(names.truth).get(b"a", b"0"))
    assert _position(topics, names.state, names.source) == handled + len(topics.values(names.dead))
