"""The apps of a process: started together, watched, and stopped within a deadline."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import faust
import structlog

from calstream_engine.transport.transport import Transport

_STOP_SECONDS = 20.0
_log = structlog.get_logger()


class AppGroup:
    """Apps that share a process."""

    def __init__(self, apps: Sequence[faust.App], stop_seconds: float = _STOP_SECONDS) -> None:
        self._apps = apps
        self._stop_seconds = stop_seconds
        self._started: list[faust.App] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Runs the apps until `stop` is set or one of them crashes; then stops all of them.

        Raises:
            BaseException: the reason for which an app crashed.
        """
        for app in self._apps:
            app.finalize()
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(stop.wait()), failed]
        waits += [asyncio.ensure_future(app._crashed.wait()) for app in self._apps]  # noqa: SLF001 - mode has no public way to wait for a crash
        starts: list[asyncio.Task[None]] = []

        def started(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None and not failed.done():
                failed.set_exception(task.exception() or AssertionError)

        try:
            for app in self._apps:
                self._started.append(app)
                # a start ends when the first partitions are restored, and may be stopped before
                starts.append(asyncio.create_task(app.start()))
                starts[-1].add_done_callback(started)
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._stop(starts)
            for task in waits:
                task.cancel()
        for app in self._apps:
            if app.crash_reason is not None:
                raise app.crash_reason
        if failed.done() and not failed.cancelled():
            failed.result()

    async def _stop(self, starts: Sequence["asyncio.Task[None]"]) -> None:
        """Stops the apps; ends the process if they don't stop in time.

        Nothing is lost then: what was not committed is read again.
        """
        try:
            async with asyncio.timeout(self._stop_seconds):
                await asyncio.gather(*(app.stop() for app in self._started))
                await asyncio.gather(*starts, return_exceptions=True)
        except TimeoutError:
            _log.critical("ended without stopping", seconds=self._stop_seconds)
            os._exit(1)

    def fault(self) -> str | None:
        """What keeps an app from being ready: partitions not restored yet, or stopped."""
        faults = {str(app.conf.id): _fault(app) for app in self._apps}
        told = [f"{name}: {fault}" for name, fault in faults.items() if fault]
        return f"not ready: {'; '.join(told)}" if told else None


def _fault(app: faust.App) -> str | None:
    transport = app.transport
    assert isinstance(transport, Transport)
    consumer: Any = app._consumer  # noqa: SLF001 - whoever asks for `app.consumer` makes one
    if consumer is None or not consumer.is_reading:
        return "starting"
    fault: str | None = consumer.reading.fault()
    return fault
