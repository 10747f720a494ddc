"""A Faust app with safe settings, and its life in a process."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import faust
import structlog

from calstream_processors.host.recovery import GatedTableManager
from calstream_processors.host.table import ConfirmedTable

_COMMIT_INTERVAL_SECONDS = 1.0
_SESSION_SECONDS = 10.0
_STOP_SECONDS = 10.0
_log = structlog.get_logger()


def create_app(name: str, bootstrap_servers: str, state_directory: Path) -> faust.App:
    """An app that creates no topics, serves no pages and keeps its tables in memory.

    Args:
        name: the consumer group.
        bootstrap_servers: HOST:PORT, several separated by commas.
        state_directory: where Faust may put files of its own.
    """
    directory = state_directory / "faust" / name
    directory.mkdir(parents=True, exist_ok=True)
    urls = [f"aiokafka://{server}" for server in bootstrap_servers.split(",")]
    return faust.App(
        name,
        broker=urls,
        datadir=str(directory),
        store="memory://",
        Table=ConfirmedTable,
        TableManager=GatedTableManager,
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=_COMMIT_INTERVAL_SECONDS,
        # a static member: who starts again after a crash takes its place at once, where Kafka
        # would else wait for the dead one's session to end
        consumer_group_instance_id="1",
        broker_session_timeout=_SESSION_SECONDS,
    )


class AppGroup:
    """Apps that share a process."""

    def __init__(self, apps: Sequence[faust.App]) -> None:
        self._apps = apps
        self._started: list[faust.App] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Runs the apps until `stop` is set or one of them crashes; then stops all of them.

        Raises:
            BaseException: the reason for which an app crashed.
        """
        for app in self._apps:
            app.finalize()
        stopping = asyncio.ensure_future(stop.wait())
        crashes = [asyncio.ensure_future(app._crashed.wait()) for app in self._apps]  # noqa: SLF001 - mode has no public way to wait for a crash
        try:
            for app in self._apps:
                await app.start()
                self._started.append(app)
            await asyncio.wait([stopping, *crashes], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, *crashes):
                task.cancel()
            await self._stop()
        for app in self._apps:
            if app.crash_reason is not None:
                raise app.crash_reason

    async def _stop(self) -> None:
        """Stops the apps; ends the process if they don't stop in time.

        Faust waits for its broker, which may be gone. Nothing is lost: what was not acknowledged
        is read again.
        """
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                for app in reversed(self._apps):
                    await app.stop()
        except TimeoutError:
            _log.critical("ended without stopping", seconds=_STOP_SECONDS)
            os._exit(1)

    def fault(self) -> str | None:
        """Which apps don't have their partitions or have not restored their tables yet.

        Asks no app before it has started: Faust makes a consumer for whoever asks first, which
        then would not be the one that reads.
        """
        ready = [app for app in self._started if _is_ready(app)]
        missing = [str(app.conf.id) for app in self._apps if app not in ready]
        return f"not ready: {', '.join(missing)}" if missing else None


def _is_ready(app: faust.App) -> bool:
    return bool(app.consumer.assignment()) and bool(app.tables.actives_ready)
