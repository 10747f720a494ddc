"""Making apps and their stages."""

from collections.abc import Callable
from typing import Any

import faust

from calstream_core.errors import Code, ConfigError
from calstream_engine.configuration import EngineSettings, Mode
from calstream_engine.engine import BatchConsumer, Engine
from calstream_engine.stage import Handle, Handler, Stage, StatelessHandler
from calstream_engine.state.store import PartitionStore
from calstream_engine.state_writer import StateWriter
from calstream_engine.transport.schema import BatchSchema
from calstream_engine.transport.transport import FAUST_SETTINGS, SCHEME, Transport
from calstream_engine.view import View, Viewer
from calstream_engine.work import TableSpec

_BATCHES_BUFFERED = 1_000_000  # records in flight are what is bounded


def create_app(settings: EngineSettings, **faust_settings: Any) -> faust.App:
    """A Faust app on the engine: no topic is made, no page is served.

    Args:
        settings: how it runs.
        faust_settings: further settings of Faust.
    """
    app = faust.App(
        settings.app,
        **{
            "broker": [f"{SCHEME}://{one}" for one in settings.bootstrap_servers.split(",")],
            "autodiscover": False,
            "web_enabled": False,
            "topic_allow_declare": False,
            "stream_wait_empty": False,
            "key_serializer": "raw",
            "value_serializer": "raw",
            **FAUST_SETTINGS,
            **faust_settings,
        },
    )
    app.engine_settings = settings  # type: ignore[attr-defined]  # read by the transport
    return app


def state_table(app: faust.App, name: str, topic: str) -> Any:
    """A table that is only state: its changelog gets each changed key once a batch."""
    return _table(app, name, topic, every_version=False)


def truth_table(app: faust.App, name: str, topic: str) -> Any:
    """A table that is a truth: its changelog gets every version, with its headers."""
    return _table(app, name, topic, every_version=True)


def _table(app: faust.App, name: str, topic: str, *, every_version: bool) -> Any:
    return app.Table(
        name,
        key_type=bytes,
        value_type=bytes,
        changelog_topic=app.topic(topic, key_type=bytes, value_type=bytes),
        options={"every_version": every_version},
    )


def view(app: faust.App, name: str, topic: str, viewer: Viewer) -> None:
    """Gives the app a read-only view of another app's compacted topic, which it follows.

    Args:
        app: made by `create_app`.
        name: the view's, by which works may read it.
        topic: the compacted topic.
        viewer: told of what comes.
    """
    engine = _engine(app)
    engine.ownership.add_table(TableSpec(name, topic, read_only=True))
    _declare(app, topic, name, View(name, engine.ownership, viewer))


def state_writer(app: faust.App) -> StateWriter:
    """Writes the app's tables outside of batches; transactional mode only."""
    return StateWriter(_engine(app).ownership)


async def replay(app: faust.App, name: str, partition: int) -> tuple[PartitionStore, int]:
    """Reads a view's or table's log anew, from its beginning, into a store of its own.

    Returns:
        The store, and how many records were read.

    Raises:
        UnavailableError: the broker does not answer.
    """
    return await _engine(app).ownership.replay(name, partition)


def positions(app: faust.App, topic: str) -> dict[int, int]:
    """By partition of ours: the offset up to which everything of a topic is done."""
    consumer: Any = app._consumer  # noqa: SLF001 - whoever asks for `app.consumer` makes one
    claims = consumer.reading.claims if consumer is not None and consumer.is_reading else {}
    return {
        place.partition: claim.watermark.position
        for place, claim in sorted(claims.items())
        if place.topic == topic and claim.restored
    }


def batch_agent(
    app: faust.App, topic: str, *, name: str | None = None
) -> Callable[[Handle | Handler], Stage]:
    """Declares an agent of batches; decorates a function, or takes a `Handler`.

        @batch_agent(app, "orders")
        def add(batch: Batch, work: Work) -> None: ...

    Args:
        app: made by `create_app`.
        topic: what it reads.
        name: in metrics, logs and dead letters; the function's by default.

    Raises:
        ConfigError: transactional mode without a position table, or a second agent of the topic.
    """

    def declare(handler: Handle | Handler) -> Stage:
        given = name or str(getattr(handler, "__name__", type(handler).__name__))
        engine = _engine(app)
        if engine.settings.mode is Mode.TRANSACTIONAL and engine.settings.position_table is None:
            raise ConfigError(
                Code.CONFIG_INVALID,
                "Transactional batches need a table that keeps the positions.",
                hint="Name it in `EngineSettings(position_table=...)`.",
            )
        stage = Stage(
            given,
            StatelessHandler(handler) if callable(handler) else handler,
            settings=engine.settings,
            ownership=engine.ownership,
            producer=lambda: app.producer.outbox,  # type: ignore[attr-defined]  # ours has it
            crash=lambda error: _crash(app, error),
        )
        _declare(app, topic, given, stage)
        return stage

    return declare


def _declare(app: faust.App, topic: str, name: str, consumer: BatchConsumer) -> None:
    """Makes the Faust agent that hands the batches of a topic to a stage or a view."""
    engine = _engine(app)
    if topic in engine.stages:
        raise ConfigError(
            Code.ENGINE_UNSUPPORTED, f"{topic} is read by another part of this app already."
        )
    engine.stages[topic] = consumer
    source = app.topic(topic, schema=BatchSchema(), maxsize=_BATCHES_BUFFERED)

    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            consumer.put(event.message.claim, event.value, event.ack)

    app.agent(source, name=name)(agent)


def _engine(app: faust.App) -> Engine:
    transport = app.transport
    assert isinstance(transport, Transport)
    return transport.engine


def _crash(app: faust.App, error: Exception) -> None:
    app.consumer.crash_app(error)  # type: ignore[attr-defined]  # ours has it
