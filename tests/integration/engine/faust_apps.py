"""Apps made as Faust's manual says, and the same apps made by the engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust
from tests.integration.engine.topics import Topics
from tests.integration.engine.workers import engine_settings

from calstream_engine import FAUST_SETTINGS, create_app

MakeApp = Callable[..., faust.App]


def faust_app(topics: Topics, directory: Path, name: str, **settings: Any) -> faust.App:
    """An app made by `faust.App`; it makes its changelogs by itself."""
    given: dict[str, Any] = {
        "broker": f"calstream://{topics.bootstrap_servers}",
        "datadir": str(directory),
        "topic_partitions": 2,
        "web_enabled": False,
        "broker_commit_interval": 0.1,
        **FAUST_SETTINGS,
    }
    return faust.App(name, **{**given, **settings})


def engine_app(
    topics: Topics, directory: Path, name: str, *, dead_topic: str | None = None, **settings: Any
) -> faust.App:
    """The same app made by `create_app`, with the serializers of the manual."""
    given = {"topic_allow_declare": True, "topic_partitions": 2, **settings}
    return create_app(
        engine_settings(
            name,
            topics.bootstrap_servers,
            state_directory=directory / "state",
            dead_topic=dead_topic,
        ),
        key_serializer="raw",
        value_serializer="json",
        **given,
    )
