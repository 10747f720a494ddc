"""`python -m calstream_processors`: both stages in one process, each an app of its own."""

import sys

import structlog

from calstream_core.health import HealthServer
from calstream_core.kafka import AsyncProducer, verify_partitioner
from calstream_core.process import run_process, stop_signals
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_processors.host.app import AppGroup, create_app
from calstream_processors.host.claim import sole_processors
from calstream_processors.normalise.agent import NormaliseStage
from calstream_processors.resolve.agent import ResolveStage

_log = structlog.get_logger()


async def serve(settings: Settings, bootstrap_servers: str, health_listen: str) -> None:
    """Runs the processors until SIGTERM or SIGINT.

    Raises:
        CalstreamError: the settings or the broker are not usable, other processors run, or a stage
            stopped.
    """
    verify_partitioner()
    with sole_processors(settings.state.directory):
        await _serve_alone(settings, bootstrap_servers, health_listen)


async def _serve_alone(settings: Settings, bootstrap_servers: str, health_listen: str) -> None:
    keys = KeyStore(settings.state.directory / "keys")
    producer = AsyncProducer(bootstrap_servers, "calstream-processors", linger_milliseconds=0)
    # consumer groups are named as topics are, so that installations can share a broker
    prefix = settings.kafka.topic_prefix
    normalise = create_app(
        f"{prefix}calstream-normalise", bootstrap_servers, settings.state.directory
    )
    resolve = create_app(f"{prefix}calstream-resolve", bootstrap_servers, settings.state.directory)
    NormaliseStage(normalise, settings, producer, keys)
    ResolveStage(resolve, settings, producer, keys)

    apps = AppGroup([normalise, resolve])
    health = HealthServer(health_listen, {"stages": apps.fault})
    _log.info("processors started", health_port=health.port)
    try:
        with stop_signals() as stop:
            await apps.run(stop)
    finally:
        await producer.close()
        health.close()
    _log.info("processors stopped")


if __name__ == "__main__":
    sys.exit(run_process("processors", serve))
