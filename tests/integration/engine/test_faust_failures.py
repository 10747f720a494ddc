"""What a stock agent can't handle goes to the dead letters, or stops the worker before it."""

import json
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import faust
import pytest
from confluent_kafka import Message
from tests.integration.engine.faust_apps import engine_app, faust_app
from tests.integration.engine.topics import Topics
from tests.integration.engine.waiting import eventually
from tests.integration.engine.workers import Workers, engine_settings

from calstream_core.errors import CalstreamError, Code, InvariantError, UnavailableError
from calstream_core.kafka.limits import MAX_RECORD_BYTES
from calstream_engine import DeadLetterLimit, create_app

pytestmark = pytest.mark.broker


def _headers(message: Message) -> list[tuple[str, bytes]]:
    headers: Any = message.headers()
    return list(headers)


def _told(message: Message) -> dict[str, bytes]:
    return dict(_headers(message))


def _code(error: BaseException | None) -> Code:
    assert isinstance(error, CalstreamError), error
    return error.code


async def test_a_record_an_agent_fails_at_is_a_dead_letter_and_the_agent_goes_on(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    orders, dead = topics.make("orders", 2), topics.make("dead", 2)
    name = topics.name("failing")
    app = engine_app(topics, tmp_path, name, dead_topic=dead)
    counts = app.Table("counts", default=int)

    @app.agent(app.topic(orders, value_type=str))
    async def count(stream: faust.StreamT[str]) -> None:
        async for fruit in stream:
            if fruit == "stone":
                raise ValueError(fruit)
            counts[fruit] += 1

    fruits = ["pear", "stone", "pear", "stone", "fig"]
    for number, fruit in enumerate(fruits):
        headers = [("h", b"%d" % number), ("h", b"again")]
        topics.put(orders, [(b"k", json.dumps(fruit).encode())], headers=headers)
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 5)
    await worker.stop()
    assert topics.latest(f"{name}-counts-changelog") == {b'"pear"': b"2", b'"fig"': b"1"}
    letters = topics.read(dead)
    assert [(m.key(), m.value()) for m in letters] == [(b"k", b'"stone"')] * 2
    assert [_headers(m)[:2] for m in letters] == [
        [("h", b"1"), ("h", b"again")],
        [("h", b"3"), ("h", b"again")],
    ]
    assert [_told(m)["origin_offset"] for m in letters] == [b"1", b"3"]
    assert _told(letters[0])["error_code"] == b"record-failed"
    assert _told(letters[0])["error_message"] == b"ValueError"  # and not what it was about
    assert _told(letters[0])["origin_topic"] == orders.encode()


async def test_an_agent_that_yields_fails_in_the_same_way(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    orders, dead, out = topics.make("orders", 2), topics.make("dead", 2), topics.make("out", 2)
    name = topics.name("failing")
    app = engine_app(topics, tmp_path, name, dead_topic=dead)

    @app.agent(app.topic(orders, value_type=int), sink=[app.topic(out)])  # type: ignore[arg-type]  # Faust takes any type that its serializer knows
    async def invert(stream: faust.StreamT[int]) -> AsyncIterable[float]:
        async for number in stream:
            yield 1 / number

    topics.put(orders, [(None, b"1"), (None, b"0"), (None, b"2")])
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 3)
    await worker.stop()
    assert sorted(topics.values(out) + topics.values(out, 1)) == [b"0.5", b"1.0"]  # type: ignore[type-var]  # none is a tombstone
    assert topics.values(dead) == [b"0"]


async def test_a_record_that_two_agents_fail_at_is_one_dead_letter(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    orders, dead = topics.make("orders", 2), topics.make("dead", 2)
    name = topics.name("failing")
    app = engine_app(topics, tmp_path, name, dead_topic=dead)
    topic = app.topic(orders, value_type=str)
    seen: list[str] = []

    def agent(who: str, *bad: str) -> None:
        async def see(stream: faust.StreamT[str]) -> None:
            async for value in stream:
                if value in bad:
                    raise ValueError
                seen.append(f"{who} {value}")

        app.agent(topic, name=who)(see)

    agent("first", "both", "one")
    agent("second", "both")
    topics.put(orders, [(None, b'"both"'), (None, b'"one"'), (None, b"no json"), (None, b'"ok"')])
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 4)
    await worker.stop()
    assert sorted(seen) == ["first ok", "second ok", "second one"]
    assert sorted(value or b"" for value in topics.values(dead)) == [
        b'"both"',
        b'"one"',
        b"no json",
    ]


@pytest.mark.parametrize("undecodable", [False, True], ids=["failing", "undecodable"])
async def test_without_a_topic_for_them_the_worker_stops_before_the_record(
    topics: Topics, workers: Workers, tmp_path: Path, undecodable: bool
) -> None:
    orders, name = topics.make("orders", 2), topics.name("failing")
    bad = b"no json" if undecodable else b'"stone"'
    seen: list[str] = []

    def make(stones: bool) -> faust.App:
        app = faust_app(topics, tmp_path, name)

        @app.agent(app.topic(orders, value_type=str))
        async def see(stream: faust.StreamT[str]) -> None:
            async for fruit in stream:
                if stones and fruit == "stone":
                    raise ValueError
                seen.append(fruit)

        return app

    topics.put(orders, [(None, b'"pear"'), (None, bad), (None, b'"fig"')])
    for _ in range(2):  # it is read again and again
        error = await workers.run(make(stones=True)).until_ended()
        assert _code(error) is (Code.RECORD_UNREADABLE if undecodable else Code.RECORD_FAILED)
        assert "offset 1" in str(error)
        assert topics.committed(name, orders) == 1
    assert seen == ["pear"]
    if not undecodable:  # mended
        worker = await workers.start(make(stones=False))
        await topics.until_committed(name, orders, 3)
        await worker.stop()
        assert seen == ["pear", "stone", "fig"]


async def test_what_can_t_be_decoded_is_a_dead_letter(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    orders, dead = topics.make("orders", 2), topics.make("dead", 2)
    name = topics.name("undecodable")
    app = engine_app(topics, tmp_path, name, dead_topic=dead)
    seen: list[tuple[Any, Any]] = []

    class Order(faust.Record):
        amount: int

    @app.agent(app.topic(orders, key_type=str, key_serializer="json", value_type=Order))
    async def see(stream: faust.StreamT[Order]) -> None:
        async for key, order in stream.items():
            seen.append((key, order and order.amount))

    good = (b'"k"', b'{"amount": 1}')
    bad = [(b'"k"', b"{"), (b"no json", b'{"amount": 2}'), (b'"k"', b"[1]"), (b'"k"', b'{"x": 1}')]
    topics.put(orders, [good, *bad, good])
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 6)
    await worker.stop()
    assert seen == [("k", 1), ("k", 1)]
    assert [(m.key(), m.value()) for m in topics.read(dead)] == bad
    assert {_told(m)["error_code"] for m in topics.read(dead)} == {b"record-unreadable"}


async def test_a_send_or_a_state_that_is_too_large_is_about_the_record(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    orders, dead, out = topics.make("orders", 2), topics.make("dead", 2), topics.make("out", 2)
    name = topics.name("large")
    app = engine_app(topics, tmp_path, name, dead_topic=dead)
    table = app.Table("table", value_type=bytes)
    out_topic = app.topic(out, value_type=bytes)

    @app.agent(app.topic(orders, value_type=bytes, value_serializer="raw"))
    async def grow(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            if value == b"send":
                await (await out_topic.send(value=b"x" * (MAX_RECORD_BYTES + 1)))
            elif value == b"put":
                table["k"] = b"x" * (MAX_RECORD_BYTES + 1)
            else:
                table["k"] = value

    topics.put(orders, [(None, value) for value in (b"1", b"send", b"put", b"4")])
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 4)
    await worker.stop()
    assert topics.latest(f"{name}-table-changelog") == {b'"k"': b"4"}
    letters = topics.read(dead)
    assert [m.value() for m in letters] == [b"send", b"put"]
    assert {_told(m)["error_code"] for m in letters} == {b"record-too-large"}


@pytest.mark.parametrize(
    "error",
    [
        InvariantError(Code.INVARIANT_BROKEN, "strange"),
        UnavailableError(Code.SINK_UNAVAILABLE, "away"),
    ],
    ids=["invariant", "unavailable"],
)
async def test_what_is_not_about_the_record_ends_the_worker(
    topics: Topics, workers: Workers, tmp_path: Path, error: CalstreamError
) -> None:
    orders, dead = topics.make("orders", 2), topics.make("dead", 2)
    name = topics.name("failing")
    app = engine_app(topics, tmp_path, name, dead_topic=dead)

    @app.agent(app.topic(orders, value_type=str))
    async def fail(stream: faust.StreamT[str]) -> None:
        async for _ in stream:
            raise error

    topics.put(orders, [(None, b'"a"'), (None, b'"b"')])
    assert await workers.run(app).until_ended() is error
    assert topics.values(dead) == []
    assert topics.committed(name, orders) in {None, 0}


async def test_too_many_dead_letters_of_a_stock_agent_stop_the_worker(
    topics: Topics, workers: Workers
) -> None:
    orders, dead = topics.make("orders", 2), topics.make("dead", 2)
    name = topics.name("failing")
    app = create_app(
        engine_settings(
            name,
            topics.bootstrap_servers,
            dead_topic=dead,
            limit=DeadLetterLimit(consecutive=3),
        )
    )

    @app.agent(app.topic(orders, value_type=bytes))
    async def fail(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            if value != b"good":
                raise ValueError

    values = [b"bad"] * 3 + [b"good"] + [b"bad"] * 10
    topics.put(orders, [(None, value) for value in values])
    assert _code(await workers.run(app).until_ended()) is Code.DEAD_LETTER_LIMIT
    assert len(topics.values(dead)) == 6
    assert topics.committed(name, orders) == 7


async def test_an_agent_that_fails_often_goes_on_at_once_and_in_order(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    orders, dead = topics.make("orders", 2), topics.make("dead", 2)
    name = topics.name("failing")
    app = engine_app(topics, tmp_path, name, dead_topic=dead)
    seen: list[int] = []

    @app.agent(app.topic(orders, value_type=int))  # type: ignore[arg-type]  # Faust takes any type that its serializer knows
    async def see(stream: faust.StreamT[int]) -> None:
        async for number in stream:
            if number % 10 == 0:
                raise ValueError
            seen.append(number)

    worker = await workers.start(app)
    topics.put(orders, [(None, b"%d" % number) for number in range(300)])
    await eventually(lambda: len(seen) == 270)
    await topics.until_committed(name, orders, 300)
    await worker.stop()
    assert seen == [number for number in range(300) if number % 10]
    assert len(topics.values(dead)) == 30
