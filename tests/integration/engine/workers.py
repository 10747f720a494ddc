"""Workers in the process of the test: started, asked, stopped and left to crash."""

import asyncio
from typing import Any

import faust
from tests.integration.engine.waiting import PATIENCE_SECONDS, eventually

from calstream_engine import AppGroup, EngineSettings, Mode


def engine_settings(app: str, bootstrap_servers: str, **changes: Any) -> EngineSettings:
    """Settings for a test: everything happens soon."""
    given: dict[str, Any] = {
        "mode": Mode.PLAIN,
        "session_timeout_seconds": 6.0,
        "release_seconds": 5.0,
        "commit_interval_seconds": 0.1,
        "client": {"heartbeat.interval.ms": 200},  # how soon a member hears of a rebalance
    }
    return EngineSettings(app, bootstrap_servers, **given | changes)


class Worker:
    """Apps that run as one process would run them."""

    def __init__(self, *apps: faust.App) -> None:
        self.group = AppGroup(apps)
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self.group.run(self._stop))

    async def until_ready(self) -> "Worker":
        """Waits until everything is restored and read."""

        def ready() -> bool:
            assert not self._running.done(), self._running
            return self.group.fault() is None

        await eventually(ready)
        return self

    async def until_ended(self) -> BaseException | None:
        """Waits until it ends by itself; the reason."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait([self._running])
        return self._running.exception()

    async def stop(self) -> None:
        """Stops it as SIGTERM does."""
        self._stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._running

    async def close(self) -> None:
        """Leaves nothing of it behind."""
        self._stop.set()
        await asyncio.wait([self._running])


class Workers:
    """All workers of a test."""

    def __init__(self) -> None:
        self._all: list[Worker] = []

    def run(self, *apps: faust.App) -> Worker:
        """Starts a worker; returns at once."""
        worker = Worker(*apps)
        self._all.append(worker)
        return worker

    async def start(self, *apps: faust.App) -> Worker:
        """Starts a worker and waits until it is ready."""
        return await self.run(*apps).until_ready()

    async def close(self) -> None:
        """Ends all of them."""
        await asyncio.gather(*(worker.close() for worker in self._all))
