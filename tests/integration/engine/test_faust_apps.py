"""Agents and tables as in Faust's manual run on the engine unchanged, and lose nothing."""

import json
import shutil
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import faust
import pytest
from tests.integration.engine.faust_apps import MakeApp, engine_app, faust_app
from tests.integration.engine.topics import Pair, Topics
from tests.integration.engine.waiting import eventually
from tests.integration.engine.workers import Workers

pytestmark = pytest.mark.broker


@pytest.fixture(params=[faust_app, engine_app], ids=["faust.App", "create_app"])
def make_app(request: pytest.FixtureRequest) -> MakeApp:
    make: MakeApp = request.param
    return make


class Order(faust.Record):
    """A model as in the manual."""

    account: str
    amount: int


def _json(*values: object) -> list[Pair]:
    return [(b"k", json.dumps(value).encode()) for value in values]


def _counting(app: faust.App, orders: str) -> Any:
    counts = app.Table("counts", default=int)

    @app.agent(app.topic(orders, value_type=str))
    async def count(fruits: faust.StreamT[str]) -> None:
        async for fruit in fruits:
            counts[fruit] += 1

    return counts


@pytest.mark.parametrize("wiped", [False, True], ids=["kept", "wiped"])
async def test_an_agent_counts_in_a_table_whose_state_survives(
    topics: Topics, workers: Workers, tmp_path: Path, make_app: MakeApp, wiped: bool
) -> None:
    orders, name = topics.make("orders", 2), topics.name("counts")
    topics.put(orders, _json("pear", "apple", "pear"))
    topics.put(orders, _json("plum"), partition=1)
    for round_ in (1, 2):
        app = make_app(topics, tmp_path, name)
        counts = _counting(app, orders)
        worker = await workers.start(app)
        if round_ == 2:  # restored before anything is read
            assert dict(counts.items()) == {"pear": 2, "apple": 1, "plum": 1}
            topics.put(orders, _json("apple", "fig"))
        await topics.until_committed(name, orders, 3 if round_ == 1 else 5)
        await topics.until_committed(name, orders, 1, 1)
        await worker.stop()
        if wiped:
            shutil.rmtree(tmp_path, ignore_errors=True)
    changelog = f"{name}-counts-changelog"
    assert topics.latest(changelog) == {b'"pear"': b"2", b'"apple"': b"2", b'"fig"': b"1"}
    assert topics.latest(changelog, 1) == {b'"plum"': b"1"}


async def test_models_keys_and_removals_are_kept_as_the_manual_says(
    topics: Topics, workers: Workers, tmp_path: Path, make_app: MakeApp
) -> None:
    orders, name = topics.make("orders", 2), topics.name("orders")
    app = make_app(topics, tmp_path, name)
    last = app.Table("last", key_type=str, value_type=Order)
    seen = app.Table("seen", default=list)

    @app.agent(app.topic(orders, key_type=str, value_type=Order, key_serializer="raw"))
    async def keep(stream: faust.StreamT[Order]) -> None:
        async for key, order in stream.items():
            if order.amount:
                last[order.account] = order
            else:
                del last[order.account]
            seen[order.account] = [*seen[order.account], [key, order.amount]]

    topics.put(
        orders, _json(*({"account": a, "amount": n} for a, n in [("x", 1), ("y", 2), ("x", 0)]))
    )
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 3)
    assert set(last.keys()) == {"y"}
    assert "x" not in last
    assert isinstance(last["y"], Order)
    assert (last["y"].amount, len(last)) == (2, 1)
    assert seen["x"] == [["k", 1], ["k", 0]]
    await worker.stop()
    assert set(topics.latest(f"{name}-last-changelog")) == {b'"y"'}


async def test_what_an_agent_yields_and_sends_arrives(
    topics: Topics, workers: Workers, tmp_path: Path, make_app: MakeApp
) -> None:
    orders, sums, log = topics.make("orders", 2), topics.make("sums", 2), topics.make("log", 2)
    name = topics.name("sums")
    app = make_app(topics, tmp_path, name)
    sums_topic = app.topic(sums)
    log_topic = app.topic(log, key_type=str, value_type=str)

    @app.agent(app.topic(orders, value_type=Order), sink=[sums_topic])
    async def add(stream: faust.StreamT[Order]) -> AsyncIterable[int]:
        total = 0
        async for order in stream:
            total += order.amount
            await (await log_topic.send(key=order.account, value=f"+{order.amount}", partition=0))
            yield total

    topics.put(orders, _json(*({"account": "x", "amount": n} for n in (1, 2, 3))))
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 3)
    await worker.stop()
    written = topics.values(sums) + topics.values(sums, 1)
    assert sorted(value or b"" for value in written) == [b"1", b"3", b"6"]
    assert [(m.key(), m.value()) for m in topics.read(log)] == [
        (b"x", b'"+1"'),
        (b"x", b'"+2"'),
        (b"x", b'"+3"'),
    ]


async def test_two_agents_of_one_topic_both_see_every_record(
    topics: Topics, workers: Workers, tmp_path: Path, make_app: MakeApp
) -> None:
    orders, name = topics.make("orders", 2), topics.name("two")
    app = make_app(topics, tmp_path, name)
    topic = app.topic(orders, value_type=str)
    seen: dict[str, list[str]] = {"first": [], "second": []}

    def see(who: str) -> None:
        async def agent(stream: faust.StreamT[str]) -> None:
            async for value in stream:
                seen[who].append(value)

        app.agent(topic, name=who)(agent)

    see("first")
    see("second")
    topics.put(orders, _json("a", "b", "c"))
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 3)
    await worker.stop()
    assert seen == {"first": ["a", "b", "c"], "second": ["a", "b", "c"]}


async def test_filters_events_and_concurrency_lose_nothing(
    topics: Topics, workers: Workers, tmp_path: Path, make_app: MakeApp
) -> None:
    orders, name = topics.make("orders", 2), topics.name("filter")
    app = make_app(topics, tmp_path, name)
    seen: list[tuple[str, int]] = []

    @app.agent(app.topic(orders, value_type=str), concurrency=3)
    async def see(stream: Any) -> None:
        async for event in stream.filter(lambda value: value != "no").events():
            where = event.message.offset
            seen.append((event.value, where))

    topics.put(orders, _json("a", "no", "b", "no", "no", "c", "no"))
    worker = await workers.start(app)
    await topics.until_committed(name, orders, 7)
    await worker.stop()
    assert sorted(seen) == [("a", 0), ("b", 2), ("c", 5)]


async def test_state_is_visible_between_records_and_only_of_partitions_that_are_ours(
    topics: Topics, workers: Workers, tmp_path: Path, make_app: MakeApp
) -> None:
    orders, name = topics.make("orders", 2), topics.name("counts")
    app = make_app(topics, tmp_path, name)
    counts = _counting(app, orders)
    worker = await workers.start(app)
    topics.put(orders, _json("pear"))
    topics.put(orders, _json("fig"), partition=1)
    await eventually(lambda: set(counts.keys()) == {"pear", "fig"})
    assert (len(counts), "fig" in counts) == (2, True)
    await worker.stop()
    assert len(counts) == 0


async def test_a_stream_can_be_grouped_by_another_key(
    topics: Topics, workers: Workers, tmp_path: Path, make_app: MakeApp
) -> None:
    orders, name = topics.make("orders", 2), topics.name("grouped")
    app = make_app(topics, tmp_path, name)
    sums = app.Table("sums", default=int)

    @app.agent(app.topic(orders, value_type=Order), name=name)
    async def add(stream: Any) -> None:
        async for order in stream.group_by(Order.account):
            sums[order.account] += order.amount

    for partition in (0, 1):
        pairs = _json(*({"account": a, "amount": 1} for a in "abcab"))
        topics.put(orders, pairs, partition=partition)
    worker = await workers.start(app)
    await eventually(lambda: dict(sums.items()) == {"a": 4, "b": 4, "c": 2})
    await topics.until_committed(name, orders, 5)
    await worker.stop()


async def test_an_app_of_timers_needs_no_agent(
    topics: Topics, workers: Workers, tmp_path: Path, make_app: MakeApp
) -> None:
    out = topics.make("out", 2)
    app = make_app(topics, tmp_path, topics.name("timer"))
    out_topic = app.topic(out, value_type=str)

    @app.timer(0.05)  # type: ignore[untyped-decorator]  # Faust's has no types
    async def tick() -> None:
        await (await out_topic.send(value="tick", partition=0))

    worker = await workers.start(app)
    await topics.until_written(out, 2)
    await worker.stop()
    assert set(topics.values(out)) == {b'"tick"'}
