"""An app in transactional mode whose records say what to do with its state."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
from tests.integration.engine.topics import Topics
from tests.integration.engine.workers import engine_settings

from calstream_engine import (
    Batch,
    EngineSettings,
    Handler,
    Mode,
    Work,
    batch_agent,
    create_app,
    state_table,
    truth_table,
)
from calstream_engine.ownership import Owned, Ownership

Handle = Callable[[Batch, Work], None]


@dataclass(frozen=True)
class Names:
    """The topics of one app."""

    app: str
    source: str
    state: str
    truth: str
    out: str
    dead: str

    @classmethod
    def make(cls, topics: Topics, partitions: int = 1) -> "Names":
        """Makes the topics; the changelogs are compacted as in the product, much later."""
        made = {
            what: topics.make(what, partitions, cleanup_policy="compact")
            for what in ("state", "truth")
        }
        made |= {what: topics.make(what, partitions) for what in ("source", "out", "dead")}
        return cls(app=topics.name("app"), **made)


def obey(batch: Batch, work: Work) -> None:
    """`+key` counts a key, `-key` removes it, `?key` sends what it is; anything else raises."""
    for record in batch:
        order = record.value() or b""
        verb, key = order[:1], order[1:]
        if verb == b"+":
            count = b"%d" % (int(work["state"].get(key) or 0) + 1)
            work["state"].put(key, count)
            work["truth"].put(key, count, [("order", order)])
        elif verb == b"-":
            work["state"].delete(key)
            work["truth"].delete(key)
        elif verb == b"?":
            work.send(OUT, key, work["state"].get(key))
        else:
            raise ValueError(order)


OUT = "out"
"""Stands for the app's own topic, whose name the handler does not know."""


def transactional_app(
    topics: Topics,
    names: Names,
    directory: Path | None = None,
    handler: Handle | Handler = obey,
    **changes: Any,
) -> faust.App:
    """The app; its positions are in `state`."""

    def handle_here(batch: Batch, work: Work) -> None:
        assert callable(handler)
        handler(batch, work)
        work.sent[:] = [
            one._replace(topic=names.out) if one.topic == OUT else one for one in work.sent
        ]

    given: dict[str, Any] = {
        "mode": Mode.TRANSACTIONAL,
        "position_table": "state",
        "dead_topic": names.dead,
        "state_directory": directory,
    }
    settings: EngineSettings = engine_settings(
        names.app, topics.bootstrap_servers, **given | changes
    )
    app = create_app(settings)
    state_table(app, "state", names.state)
    truth_table(app, "truth", names.truth)
    chosen = handle_here if callable(handler) else handler
    batch_agent(app, names.source, name="obey")(chosen)
    return app


def owned(app: faust.App, partition: int = 0) -> Owned:
    """What the app has of a partition."""
    transport: Any = app.transport
    ownership: Ownership = transport.engine.ownership
    return ownership.owned(partition)


def state_of(app: faust.App, partition: int = 0) -> dict[bytes, bytes]:
    """The app's table, without the engine's own keys."""
    return dict(owned(app, partition).stores["state"].items())


def records_restored(app: faust.App, partition: int = 0) -> int:
    """How many records the restore of a partition has read."""
    return sum(restore.records for restore in owned(app, partition).restores)
