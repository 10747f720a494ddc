"""The transport that Faust finds under the scheme `calstream`."""

from pathlib import Path
from typing import Any, ClassVar

import faust
from faust.transport import base
from faust.types.enums import ProcessingGuarantee
from mode import Service
from yarl import URL

from calstream_core.errors import Code, ConfigError
from calstream_engine.configuration import EngineSettings
from calstream_engine.engine import Engine
from calstream_engine.ownership import Ownership
from calstream_engine.transport.agent import Agent
from calstream_engine.transport.consumer import Consumer
from calstream_engine.transport.producer import Producer
from calstream_engine.transport.schema import RecordSchema
from calstream_engine.transport.stream import Stream
from calstream_engine.transport.tables import STORE_URL, Tables

SCHEME = "calstream"
"""`faust.App(..., broker="calstream://HOST:PORT")`."""

_DEFAULT_PORT = 9092
FAUST_SETTINGS: dict[str, Any] = {
    "Agent": Agent,
    "Schema": RecordSchema,
    "Stream": Stream,
    "TableManager": Tables,
    "store": str(STORE_URL),
    "table_standby_replicas": 0,
    "topic_disable_leader": True,
}
"""What an app on the engine needs. Given to `faust.App`."""


class Fetcher(Service):
    """Faust's fetcher has nothing to do: the membership's thread reads."""

    def __init__(self, app: faust.App, **options: Any) -> None:
        self.app = app
        super().__init__(**options)


class Transport(base.Transport):
    """Makes the consumer and the producer of an app, and holds its part of the engine.

    Raises:
        ConfigError: the app was made without the engine's classes, or wants of Faust what the
            engine does not do.
    """

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer
    Fetcher: ClassVar[Any] = Fetcher
    default_port = _DEFAULT_PORT
    driver_version = "calstream_engine"

    def __init__(self, url: list[URL], app: Any, loop: Any = None) -> None:
        super().__init__(url, app, loop)
        for name in ("Agent", "Schema", "Stream", "TableManager"):
            if not issubclass(getattr(app.conf, name), FAUST_SETTINGS[name]):
                raise ConfigError(
                    Code.ENGINE_UNSUPPORTED,
                    f"The app uses Faust's own {name}, which loses records.",
                    hint="Make it with `calstream_engine.create_app`, or give `faust.App` the"
                    " settings in `calstream_engine.FAUST_SETTINGS`.",
                )
        _refuse_unsafe(app)
        settings = getattr(app, "engine_settings", None) or _settings_of(app, url)
        self.engine = Engine(settings, Ownership(settings))

    def create_transaction_manager(self, *_args: Any, **_options: Any) -> Any:
        """Refused: Faust's own transactions mix up partitions."""
        raise ConfigError(Code.ENGINE_UNSUPPORTED, "Faust's exactly_once is not supported.")


def _refuse_unsafe(app: Any) -> None:
    """Refuses what would be promised and not be kept."""
    if app.conf.processing_guarantee == ProcessingGuarantee.EXACTLY_ONCE:
        raise ConfigError(
            Code.ENGINE_UNSUPPORTED,
            "Faust's exactly_once is not supported: its transactions mix up partitions.",
            hint="Use `calstream_engine.create_app` in transactional mode.",
        )
    if app.conf.table_standby_replicas:
        raise ConfigError(
            Code.ENGINE_UNSUPPORTED,
            f"The engine keeps no standby replicas, and {app.conf.table_standby_replicas} is asked"
            " for (1 is Faust's default).",
            hint="Set `table_standby_replicas=0`, as FAUST_SETTINGS does: a partition that moves is"
            " restored in bulk, or from the disk where it was before.",
        )
    if not app.conf.topic_disable_leader:
        raise ConfigError(
            Code.ENGINE_UNSUPPORTED,
            "The engine elects no leader among workers.",
            hint="Set `topic_disable_leader=True`, as FAUST_SETTINGS does.",
        )


def _settings_of(app: Any, url: list[URL]) -> EngineSettings:
    """What the settings of an app that was made with `faust.App` mean here."""
    servers = ",".join(f"{one.host or '127.0.0.1'}:{one.port or _DEFAULT_PORT}" for one in url)
    return EngineSettings(
        app=str(app.conf.id),
        bootstrap_servers=servers,
        state_directory=Path(app.conf.tabledir) / SCHEME,
        instance_id=app.conf.consumer_group_instance_id,
        session_timeout_seconds=app.conf.broker_session_timeout,
        commit_interval_seconds=app.conf.broker_commit_interval,
    )
