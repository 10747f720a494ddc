"""The apps of a process: started together, watched, and stopped within a deadline."""

import asyncio
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import faust
import structlog

from calstream_engine.heartbeat import Heartbeat

_STOP_SECONDS = 20.0
_COLLECT_AFTER = (50_000, 20, 100)
_HANG_SECONDS = 300.0
_log = structlog.get_logger()


class AppGroup:
    """Apps that share a process.

    Two questions may be asked from any thread. `fault` is for readiness: whoever routes work here
    waits while it says something. `standstill` is for liveness: the process is of no use any more,
    and whoever watches it may start it anew. It also ends by itself then: an app whose watermark
    stands still crashes, and a process whose event loop hangs exits.

    Args:
        apps: made by `create_app`, or by `faust.App` for the engine's transport.
        stop_seconds: the deadline of a stop.
        hang_seconds: for so long may a handler hold up the event loop.
    """

    def __init__(
        self,
        apps: Sequence[faust.App],
        *,
        stop_seconds: float = _STOP_SECONDS,
        hang_seconds: float = _HANG_SECONDS,
    ) -> None:
        self._apps = apps
        self._stop_seconds = stop_seconds
        self._hang_seconds = hang_seconds
        self._started: list[faust.App] = []
        self._heartbeat: Heartbeat | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Runs the apps until `stop` is set or one of them crashes; then stops all of them.

        Raises:
            BaseException: the reason for which an app crashed.
        """
        with _rare_collections(), Heartbeat(self._hang_seconds) as self._heartbeat:
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
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
        return _told("not ready", {str(app.conf.id): _fault(app) for app in self._apps})

    def standstill(self) -> str | None:
        """What shows that an app has come to a standstill: no movement though there is lag."""
        if self._heartbeat is not None and self._heartbeat.silent_seconds:
            return f"the event loop has been silent for {self._heartbeat.silent_seconds:.0f} s"
        return _told("no movement", {str(app.conf.id): _standstill(app) for app in self._apps})


def _told(what: str, faults: Mapping[str, str | None]) -> str | None:
    told = [f"{name}: {fault}" for name, fault in faults.items() if fault]
    return f"{what}: {'; '.join(told)}" if told else None


def _fault(app: faust.App) -> str | None:
    consumer: Any = app._consumer  # noqa: SLF001 - whoever asks for `app.consumer` makes one
    if consumer is None or not consumer.is_reading:
        return "starting"
    fault: str | None = consumer.reading.fault()
    return fault


def _standstill(app: faust.App) -> str | None:
    consumer: Any = app._consumer  # noqa: SLF001 - whoever asks for `app.consumer` makes one
    if consumer is None or not consumer.is_reading:
        return None
    standstill: str | None = consumer.reading.standstill()
    return standstill


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Lets Python look for cycles less often.

    A batch makes thousands of objects that end with it, by themselves. By default Python looks for
    cycles among them after every 700, which took a fifth of a plain stage's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
