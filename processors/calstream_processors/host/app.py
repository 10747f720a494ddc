"""A Faust app with safe settings, and its life in a process."""

import asyncio
from pathlib import Path

import faust

from calstream_processors.host.table import ConfirmedTable

_COMMIT_INTERVAL_SECONDS = 1.0


def create_app(name: str, bootstrap_servers: str, state_directory: Path) -> faust.App:
    """An app that creates no topics, serves no pages and keeps its tables in memory.

    Args:
        name: the consumer group.
        bootstrap_servers: HOST:PORT, several separated by commas.
        state_directory: where Faust may put files of its own.
    """
    urls = [f"aiokafka://{server}" for server in bootstrap_servers.split(",")]
    return faust.App(
        name,
        broker=urls,
        datadir=str(state_directory / "faust" / name),
        store="memory://",
        Table=ConfirmedTable,
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
    )


async def run_apps(apps: list[faust.App], stop: asyncio.Event) -> None:
    """Runs apps until `stop` is set or one of them crashes; then stops all of them.

    Raises:
        BaseException: the reason for which an app crashed.
    """
    for app in apps:
        app.finalize()
    stopping = asyncio.ensure_future(stop.wait())
    crashes = [asyncio.ensure_future(app._crashed.wait()) for app in apps]  # noqa: SLF001 - mode has no public way to wait for a crash
    try:
        for app in apps:
            await app.start()
        await asyncio.wait([stopping, *crashes], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopping, *crashes):
            task.cancel()
        for app in reversed(apps):
            await app.stop()
    for app in apps:
        if app.crash_reason is not None:
            raise app.crash_reason
