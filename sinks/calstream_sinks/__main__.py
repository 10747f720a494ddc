"""`python -m calstream_sinks`: every configured sink in one process, each with its own runner."""

import asyncio
import sys
from dataclasses import asdict
from typing import Any

import structlog

from calstream_core.errors import Code, ConfigError
from calstream_core.health import HealthServer
from calstream_core.kafka import verify_partitioner
from calstream_core.process import run_process, stop_signals
from calstream_core.sealing import open_keys
from calstream_core.settings import Settings
from calstream_engine import AppGroup, Slot, worker_slot
from calstream_sinks.registry import make_sink
from calstream_sinks.runner.context import RunnerContext
from calstream_sinks.runner.resync import ResyncMode
from calstream_sinks.runner.runner import SinkRunner, Wiring

_log = structlog.get_logger()


class SinksProcess:
    """The runners of a process, and what may be asked of them from outside."""

    def __init__(self, settings: Settings, bootstrap_servers: str, slot: Slot) -> None:
        self._loop = asyncio.get_running_loop()
        self._contexts = {sink_id: RunnerContext(sink_id) for sink_id in settings.sinks}
        keys = open_keys(settings)
        wiring = Wiring(settings, bootstrap_servers, slot, keys)
        self.runners = {
            sink_id: SinkRunner(
                sink_id, make_sink(configured, sink_id, self._contexts[sink_id]), wiring
            )
            for sink_id, configured in settings.sinks.items()
        }

        self._apps = AppGroup([runner.app for runner in self.runners.values()])

    async def run(self, stop: asyncio.Event) -> None:
        """Runs every sink until `stop` is set or one of them can't go on; then stops them.

        Raises:
            BaseException: why a sink can't go on.
        """
        ending = asyncio.Event()
        stopping = asyncio.create_task(stop.wait())
        failures = [runner.failed for runner in self.runners.values()]
        either: list[asyncio.Future[Any]] = [stopping, *failures]
        for each in either:
            each.add_done_callback(lambda _: ending.set())
        try:
            for runner in self.runners.values():
                await runner.start()
            await self._apps.run(ending)
        finally:
            stopping.cancel()
            for runner in self.runners.values():
                await runner.stop()
            for context in self._contexts.values():
                await context.close()
        for failure in failures:
            if failure.done():
                failure.result()

    def fault(self) -> str | None:
        """What keeps any sink from working."""
        faults = {sink_id: runner.fault() for sink_id, runner in self.runners.items()}
        failed = [f"{sink_id}: {fault}" for sink_id, fault in faults.items() if fault]
        return "; ".join(failed) or self._apps.fault()

    def standstill(self) -> str | None:
        """What shows that the sinks have come to a standstill."""
        return self._apps.standstill()

    def show(self, _request: dict[str, Any]) -> dict[str, Any]:
        """What every sink still has to do. Called from the server's threads."""
        return self._ask(self._show())

    def resync(self, request: dict[str, Any]) -> dict[str, Any]:
        """Starts a resync: `{"sink": id, "mode": mode}`. Called from the server's threads."""
        return self._ask(self._start_resync(str(request.get("sink")), str(request.get("mode"))))

    def _ask(self, question: Any) -> dict[str, Any]:
        answer = asyncio.run_coroutine_threadsafe(question, self._loop).result(10)
        assert isinstance(answer, dict)
        return answer

    async def _show(self) -> dict[str, Any]:
        return {
            sink_id: {
                "fault": runner.fault(),
                "pending": runner.pending,
                "positions": runner.positions,
                "resync": asdict(progress) if (progress := runner.resync_progress) else None,
            }
            for sink_id, runner in self.runners.items()
        }

    async def _start_resync(self, sink_id: str, mode: str) -> dict[str, Any]:
        runner = self.runners.get(sink_id)
        if runner is None or mode not in set(ResyncMode):
            raise ConfigError(
                Code.CONFIG_INVALID,
                f"No sink {sink_id} runs here, or there is no mode {mode}.",
                hint=f"Sinks: {', '.join(self.runners) or 'none'}; modes: {', '.join(ResyncMode)}.",
            )
        return asdict(runner.resync(ResyncMode(mode)))


async def serve(settings: Settings, bootstrap_servers: str, health_listen: str) -> None:
    """Runs the sinks until SIGTERM or SIGINT.

    Raises:
        CalstreamError: the settings or the broker are not usable.
    """
    verify_partitioner()
    with worker_slot(settings.state.directory / "sinks") as slot:
        process = SinksProcess(settings, bootstrap_servers, slot)
        health = HealthServer(
            health_listen,
            {"sinks": process.fault},
            {"/v1/sinks": process.show, "/v1/sinks/resync": process.resync},
            liveness={"sinks": process.standstill},
        )
        _log.info("sinks started", health_port=health.port, sinks=",".join(process.runners))
        try:
            with stop_signals() as stop:
                await process.run(stop)
        finally:
            health.close()
    _log.info("sinks stopped")


if __name__ == "__main__":
    sys.exit(run_process("sinks", serve))
