"""`python -m tests.integration.engine.worker_process`: a worker that a test may do anything to.

It reads its settings as one JSON object from its arguments. In transactional mode it obeys its
records like `transactional_apps.obey`, in plain mode it sends them on; `!` hangs it for ever.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from tests.integration.engine.topics import Topics
from tests.integration.engine.transactional_apps import OUT, Names, obey, transactional_app

from calstream_core.errors import CalstreamError
from calstream_core.health import HealthServer
from calstream_core.logs import configure_logs
from calstream_core.process import stop_signals
from calstream_engine import AppGroup, Batch, Mode, Work
from calstream_engine.records import offset_of


def _obey(batch: Batch, work: Work) -> None:
    if any(record.value() == b"!" for record in batch):
        time.sleep(1_000_000)
    if work["state"].is_writable:
        obey(batch, work)
    else:
        _send_on(batch, work)


def _send_on(batch: Batch, work: Work) -> None:
    for record in batch:
        if record.value() == b"bad":
            raise ValueError
        work.send(OUT, b"%d" % offset_of(record), record.value())


async def _for_ever(_partition: int) -> None:
    await asyncio.Event().wait()


async def _run(given: dict[str, Any]) -> None:
    directory = given["engine"].pop("state_directory", None)
    app = transactional_app(
        Topics(given["bootstrap_servers"]),
        Names(**given["names"]),
        directory and Path(directory),
        handler=_obey,
        mode=Mode(given["mode"]),
        **given["engine"],
    )
    if given["is_stuck"]:
        app.transport.engine.revoked.append(_for_ever)  # type: ignore[attr-defined]  # ours has it
    group = AppGroup([app], **given["group"])
    health = HealthServer("127.0.0.1:0", {"app": group.fault}, liveness={"app": group.standstill})
    sys.stdout.write(f"{health.port}\n")
    sys.stdout.flush()
    try:
        with stop_signals() as stop:
            await group.run(stop)
    finally:
        health.close()


def main() -> int:
    """Runs until it is told to stop."""
    configure_logs("worker")
    try:
        uvloop.run(_run(json.loads(sys.argv[1])))
    except CalstreamError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
