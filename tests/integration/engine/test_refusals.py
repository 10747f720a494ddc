"""What would lose something is refused with an explanation, before a record is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust
import pytest
from tests.integration.engine.faust_apps import engine_app, faust_app
from tests.integration.engine.topics import Topics
from tests.integration.engine.workers import Workers, engine_settings

from calstream_core.errors import Code, ConfigError
from calstream_engine import (
    Batch,
    Mode,
    Work,
    batch_agent,
    create_app,
    state_table,
)

pytestmark = pytest.mark.broker


def _refusal(error: BaseException | None, code: Code = Code.ENGINE_UNSUPPORTED) -> str:
    assert isinstance(error, ConfigError), error
    assert error.code is code
    return str(error)


def test_stock_faust_on_our_scheme_is_told_what_it_needs() -> None:
    app = faust.App("stock", broker="calstream://127.0.0.1:1")
    with pytest.raises(ConfigError) as caught:
        app.topics.clear()  # the first thing that needs a transport
    assert "FAUST_SETTINGS" in _refusal(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"processing_guarantee": "exactly_once"}, "transactional mode"),
        ({"table_standby_replicas": 1}, "table_standby_replicas=0"),
        ({"topic_disable_leader": False}, "topic_disable_leader=True"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_setting_that_would_not_be_kept_is_refused(
    topics: Topics, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    app = faust_app(topics, tmp_path, topics.name("app"), **settings)
    with pytest.raises(ConfigError) as caught:
        app.topics.clear()  # the first thing that needs a transport
    assert said in _refusal(caught.value)


@pytest.mark.parametrize(
    "declare",
    [
        lambda app: app.GlobalTable("t"),
        lambda app: app.SetTable("t"),
        lambda app: app.SetGlobalTable("t"),
        lambda app: app.Table("t", use_partitioner=True),
        lambda app: app.Table("t", on_changelog_event=print),
    ],
    ids=["GlobalTable", "SetTable", "SetGlobalTable", "use_partitioner", "on_changelog_event"],
)
def test_a_table_that_could_not_be_restored_is_refused(
    topics: Topics, tmp_path: Path, declare: Callable[[faust.App], object]
) -> None:
    app = faust_app(topics, tmp_path, topics.name("app"))
    with pytest.raises(ConfigError) as caught:
        declare(app)
    _refusal(caught.value)


def _tumbling(app: faust.App) -> None:
    app.Table("t", default=int).tumbling(10)


def _hopping(app: faust.App) -> None:
    app.Table("t", default=int).hopping(10, 5)


def _on_recover(app: faust.App) -> None:
    async def recovered() -> None:
        """Would never be called."""

    table: Any = app.Table("t", default=int)
    table.on_recover(recovered)


@pytest.mark.parametrize("declare", [_tumbling, _hopping, _on_recover])
async def test_what_is_added_to_a_table_later_is_refused_at_the_start(
    topics: Topics, workers: Workers, tmp_path: Path, declare: Callable[[faust.App], None]
) -> None:
    app = faust_app(topics, tmp_path, topics.name("app"))
    declare(app)
    _refusal(await workers.run(app).until_ended())


@pytest.mark.parametrize("name", ["take", "take_events", "take_with_timestamp", "noack_take"])
async def test_taking_a_buffer_is_refused(
    topics: Topics, workers: Workers, tmp_path: Path, name: str
) -> None:
    orders, group = topics.make("orders", 2), topics.name("taking")
    app = faust_app(topics, tmp_path, group)

    @app.agent(app.topic(orders))
    async def agent(stream: Any) -> None:
        async for _ in getattr(stream, name)(10, within=1):
            raise AssertionError

    topics.put(orders, [(None, b"1")])
    assert "batch_agent" in _refusal(await workers.run(app).until_ended())
    assert topics.committed(group, orders) in {None, 0}


def test_isolated_partitions_are_refused(topics: Topics, tmp_path: Path) -> None:
    app = faust_app(topics, tmp_path, topics.name("app"))

    async def agent(stream: Any) -> None:
        async for _ in stream:
            raise AssertionError

    with pytest.raises(ConfigError) as caught:
        app.agent("orders", isolated_partitions=True)(agent)
    _refusal(caught.value)


def _nothing(_batch: Batch, _work: Work) -> None:
    """Handles a batch."""


def test_transactions_need_a_place_for_their_positions(topics: Topics) -> None:
    app = create_app(engine_settings("app", topics.bootstrap_servers, mode=Mode.TRANSACTIONAL))
    with pytest.raises(ConfigError) as caught:
        batch_agent(app, "orders")(_nothing)
    assert "position_table" in _refusal(caught.value, Code.CONFIG_INVALID)


def test_a_topic_has_one_batch_agent(topics: Topics) -> None:
    app = create_app(engine_settings("app", topics.bootstrap_servers))
    batch_agent(app, "orders")(_nothing)
    with pytest.raises(ConfigError) as caught:
        batch_agent(app, "orders", name="another")(_nothing)
    _refusal(caught.value)


def _transactional(topics: Topics, **changes: Any) -> faust.App:
    given: dict[str, Any] = {"mode": Mode.TRANSACTIONAL, "position_table": "state"}
    settings = engine_settings(topics.name("app"), topics.bootstrap_servers, **given | changes)
    return create_app(settings)


async def test_a_stock_agent_is_no_part_of_a_transaction(topics: Topics, workers: Workers) -> None:
    orders, state = topics.make("orders"), topics.make("state")
    app = _transactional(topics)
    state_table(app, "state", state)

    @app.agent(app.topic(orders))
    async def agent(stream: Any) -> None:
        async for _ in stream:
            raise AssertionError

    assert orders in _refusal(await workers.run(app).until_ended())


@pytest.mark.parametrize("state_partitions", [1, 3])
async def test_a_changelog_needs_as_many_partitions_as_the_source(
    topics: Topics, workers: Workers, state_partitions: int
) -> None:
    orders, state = topics.make("orders", 2), topics.make("state", state_partitions)
    app = _transactional(topics)
    state_table(app, "state", state)
    batch_agent(app, orders)(_nothing)
    assert state in _refusal(await workers.run(app).until_ended(), Code.TOPICS_DIFFER)


async def test_dead_letters_need_as_many_partitions_as_the_source(
    topics: Topics, workers: Workers
) -> None:
    orders, state, dead = topics.make("orders", 2), topics.make("state", 2), topics.make("dead")
    app = _transactional(topics, dead_topic=dead)
    state_table(app, "state", state)
    batch_agent(app, orders)(_nothing)
    assert dead in _refusal(await workers.run(app).until_ended(), Code.TOPICS_DIFFER)


async def test_a_topic_that_is_not_there_is_told(topics: Topics, workers: Workers) -> None:
    app = create_app(engine_settings(topics.name("app"), topics.bootstrap_servers))
    batch_agent(app, "nowhere")(_nothing)
    assert "nowhere" in _refusal(await workers.run(app).until_ended(), Code.TOPICS_DIFFER)


async def test_a_table_can_t_be_changed_outside_of_an_agent(
    topics: Topics, workers: Workers, tmp_path: Path
) -> None:
    orders = topics.make("orders", 2)
    app = engine_app(topics, tmp_path, topics.name("app"))
    counts = app.Table("counts", default=int)

    @app.agent(app.topic(orders))
    async def agent(stream: Any) -> None:
        async for _ in stream:
            raise AssertionError

    worker = await workers.start(app)
    with pytest.raises(TypeError, match="outside"):
        counts["a"] = 1
    await worker.stop()
