"""How every process of Calstream begins and ends: arguments, logs, settings, signals, status."""

import argparse
import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvloop

from calstream_core.errors import CalstreamError
from calstream_core.logs import configure_logs
from calstream_core.settings import Settings, load_settings
from calstream_core.stack_state import broker_address

Serve = Callable[[Settings, str, str], Coroutine[Any, Any, None]]
"""Runs with (settings, the broker's address, where to listen for health) until told to stop."""

_log = structlog.get_logger()


def run_process(name: str, serve: Serve) -> int:
    """Runs a process from its arguments to its end; blocks. Call it in the main thread.

    Returns:
        The exit status: 0 after SIGTERM or SIGINT, an error's own otherwise.
    """
    parser = argparse.ArgumentParser(prog=f"calstream_{name}")
    parser.add_argument("--health-listen", default="127.0.0.1:0", help="for /healthz and /metrics")
    arguments = parser.parse_args()
    configure_logs(name)
    try:
        settings = load_settings().settings
        uvloop.run(serve(settings, broker_address(settings), arguments.health_listen))
    except CalstreamError as error:
        _log.error(f"{name} failed", error=str(error))
        return error.exit_status
    return 0


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets, for the time of the block."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
