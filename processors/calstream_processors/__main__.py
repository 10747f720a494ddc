"""`python -m calstream_processors`: both stages in one process, each an app of its own."""

import argparse
import asyncio
import signal
import sys

import structlog
import uvloop

from calstream_core.errors import CalstreamError
from calstream_core.health import HealthServer
from calstream_core.kafka import AsyncProducer, verify_partitioner
from calstream_core.logs import configure_logs
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings, load_settings
from calstream_core.stack_state import broker_address
from calstream_processors.host.app import AppGroup, create_app
from calstream_processors.normalise.agent import NormaliseStage
from calstream_processors.resolve.agent import ResolveStage

_log = structlog.get_logger()


async def serve(settings: Settings, health_listen: str) -> None:
    """Runs the processors until SIGTERM or SIGINT.

    Raises:
        CalstreamError: the settings or the broker are not usable, or a stage stopped.
    """
    verify_partitioner()
    bootstrap = broker_address(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keys = KeyStore(settings.state.directory / "keys")
    producer = AsyncProducer(bootstrap, "calstream-processors", linger_milliseconds=0)
    # consumer groups are named as topics are, so that installations can share a broker
    prefix = settings.kafka.topic_prefix
    normalise = create_app(f"{prefix}calstream-normalise", bootstrap, settings.state.directory)
    resolve = create_app(f"{prefix}calstream-resolve", bootstrap, settings.state.directory)
    NormaliseStage(normalise, settings, producer, keys)
    ResolveStage(resolve, settings, producer, keys)

    apps = AppGroup([normalise, resolve])
    health = HealthServer(health_listen, {"stages": apps.fault})
    _log.info("processors started", health_port=health.port)
    try:
        await apps.run(stop)
    finally:
        await producer.close()
        health.close()
    _log.info("processors stopped")


def main() -> int:
    """Parses the arguments, runs, and gives the exit status."""
    parser = argparse.ArgumentParser(prog="calstream_processors", description=__doc__)
    parser.add_argument("--health-listen", default="127.0.0.1:0", help="for /healthz and /metrics")
    arguments = parser.parse_args()
    configure_logs("processors")
    try:
        settings = load_settings().settings
        uvloop.run(serve(settings, arguments.health_listen))
    except CalstreamError as error:
        _log.error("processors failed", error=str(error))
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
