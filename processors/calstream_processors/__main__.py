"""`python -m calstream_processors`: the stages, the eraser and the clock in one process.

Each but the clock is an app of its own.

Several such processes share the partitions: run as many as there are cores to spare.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import structlog

from calstream_core.health import HealthServer
from calstream_core.kafka import verify_partitioner
from calstream_core.process import run_process, stop_signals
from calstream_core.sealing import open_keys
from calstream_core.settings import Settings
from calstream_engine import AppGroup, positions, worker_slot
from calstream_processors.erase.eraser import Eraser
from calstream_processors.handover import Handover
from calstream_processors.normalise.agent import normalise_app
from calstream_processors.resolve.agent import ResolveStage, resolve_app
from calstream_processors.time.clock import Clock
from calstream_schemas.topics import OBSERVATIONS, WEBHOOKS, full_name

_log = structlog.get_logger()


async def _ended(task: asyncio.Task[None]) -> None:
    """Ends a task that runs as long as the process; raises what ended it before."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def serve(settings: Settings, bootstrap_servers: str, health_listen: str) -> None:
    """Runs the processors until SIGTERM or SIGINT.

    Raises:
        CalstreamError: the settings or the broker are not usable, or a stage stopped.
    """
    verify_partitioner()
    keys, handover = open_keys(settings), Handover()
    with worker_slot(settings.state.directory / "processors") as slot:
        resolver = ResolveStage(settings, keys, handover)
        sources = {
            WEBHOOKS: normalise_app(settings, bootstrap_servers, keys, slot, handover),
            OBSERVATIONS: resolve_app(settings, bootstrap_servers, resolver, slot),
        }
        eraser = Eraser(settings, bootstrap_servers, keys, slot)
        apps = AppGroup([*sources.values(), eraser.app])

        def show(_request: dict[str, Any]) -> dict[str, Any]:
            """How far each source is done, by partition. Called from the server's threads."""
            return {
                topic.name: positions(app, full_name(topic, settings.kafka))
                for topic, app in sources.items()
            }

        health = HealthServer(
            health_listen,
            {"stages": apps.fault},
            {"/v1/positions": show},
            liveness={"stages": apps.standstill},
        )
        _log.info("processors started", health_port=health.port, worker=slot.number)
        beside = [
            asyncio.create_task(work)
            for work in (eraser.run(), Clock(settings, bootstrap_servers, resolver.due).run())
        ]
        try:
            with stop_signals() as stop:
                for task in beside:
                    task.add_done_callback(lambda _: stop.set())
                await apps.run(stop)
        finally:
            for task in beside:
                await _ended(task)
            health.close()
    _log.info("processors stopped")


if __name__ == "__main__":
    sys.exit(run_process("processors", serve))
