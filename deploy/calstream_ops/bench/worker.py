"""One worker of our engine, in a process of its own: `python -m calstream_ops.bench.worker JSON`.

Says on standard output, one JSON object a line, when its partitions are restored and, at its end,
how much memory it took at most.
"""

import asyncio
import contextlib
import cProfile
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
import uvloop

from calstream_core.logs import configure_logs
from calstream_core.process import stop_signals
from calstream_engine import (
    AppGroup,
    EngineSettings,
    Mode,
    batch_agent,
    create_app,
    state_table,
)
from calstream_ops.bench.job import forward, keep_newest

_LOOK_SECONDS = 0.01
_TABLE = "newest"
_KIBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What one worker runs.

    Attributes:
        app: the app's id, new for each run.
        bootstrap_servers: the broker.
        mode: `plain` or `transactional`.
        source: the topic that it reads.
        output: the topic that it writes.
        changelog: the state's topic, in transactional mode.
        state_directory: where RocksDB is; empty keeps the state in memory.
        profile: where a profile is written at the end; empty for none.
    """

    app: str
    bootstrap_servers: str
    mode: str
    source: str
    output: str
    changelog: str = ""
    state_directory: str = ""
    profile: str = ""


def make_app(settings: WorkerSettings) -> faust.App:
    """The app with its one agent."""
    mode = Mode(settings.mode)
    app = create_app(
        EngineSettings(
            settings.app,
            settings.bootstrap_servers,
            mode,
            position_table=_TABLE if mode is Mode.TRANSACTIONAL else None,
            state_directory=Path(settings.state_directory) if settings.state_directory else None,
        )
    )
    if mode is Mode.TRANSACTIONAL:
        table = state_table(app, _TABLE, settings.changelog)
        batch_agent(app, settings.source, name="bench")(keep_newest(table, settings.output))
    else:
        batch_agent(app, settings.source, name="bench")(forward(settings.output))
    return app


async def run(settings: WorkerSettings) -> None:
    """Runs the worker until SIGTERM."""
    group = AppGroup([make_app(settings)])
    started = time.perf_counter()
    with stop_signals() as stop:
        running = asyncio.create_task(group.run(stop))
        telling = asyncio.create_task(_tell_when_ready(group, started))
        try:
            await running
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
    tell("stopped", max_resident_bytes=max_resident_bytes(), cpu_seconds=time.process_time())


async def _tell_when_ready(group: AppGroup, started: float) -> None:
    while group.fault() is not None:  # noqa: ASYNC110 - readiness is asked for, as from outside
        await asyncio.sleep(_LOOK_SECONDS)
    tell("ready", seconds=time.perf_counter() - started)


def tell(event: str, **fields: Any) -> None:
    """Says something to who started this process."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def max_resident_bytes() -> int:
    """The most memory that this process has had resident."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # there, `getrusage` also counts what the parent had before it became this program
    status = Path("/proc/self/status").read_text("ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * _KIBIBYTE


def main(text: str) -> None:
    """Runs the worker that a JSON object describes."""
    configure_logs("bench", "warning")
    settings = WorkerSettings(**json.loads(text))
    if not settings.profile:
        uvloop.run(run(settings))
        return
    profile = cProfile.Profile()
    profile.runcall(uvloop.run, run(settings))
    profile.dump_stats(settings.profile)


if __name__ == "__main__":
    main(sys.argv[1])
