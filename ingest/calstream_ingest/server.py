"""Puts ingest together and runs it until it is told to stop."""

import asyncio
import contextlib
from collections.abc import Iterable

import structlog

from calstream_core.health import HealthServer
from calstream_core.kafka import AsyncProducer, verify_partitioner
from calstream_core.process import stop_signals
from calstream_core.sealing import open_keys
from calstream_core.settings import Settings
from calstream_ingest.addresses import Address, load_addresses
from calstream_ingest.broker import BrokerHealth, admin_client, require_topics, topic_fault
from calstream_ingest.day_keys import DayKeys
from calstream_ingest.door import READ_SECONDS, Door
from calstream_ingest.listener import Listener
from calstream_ingest.rejects import RejectLog
from calstream_ingest.webhook_log import WebhookLog
from calstream_schemas.topics import REJECTED, WEBHOOKS, full_name

_CLIENT_ID = "calstream-ingest"
_MAX_QUEUED = 20_000  # more than the door's room lets in; the room is the limit that counts

_log = structlog.get_logger()


async def serve(settings: Settings, bootstrap_servers: str, health_listen: str) -> None:
    """Takes webhooks until SIGTERM or SIGINT, then finishes what has been begun.

    Afterwards every request that was let in has been answered, and every record has been
    confirmed or given up. Call it in the main thread.

    Args:
        settings: the settings.
        bootstrap_servers: the broker.
        health_listen: HOST:PORT for `/healthz` and `/metrics`; port 0 takes a free one.

    Raises:
        ConfigError: a secret, key, topic or address to listen at is not usable.
        UnavailableError: the broker or the key store does not answer at the start, or the server
            ended.
    """
    verify_partitioner()
    keys = open_keys(settings)
    addresses = load_addresses(settings, keys)
    day_keys = DayKeys(keys, (address.workspace for address in addresses.values()))
    await asyncio.to_thread(day_keys.prepare)
    if not addresses:
        _log.warning("no workspace has a secret for webhooks: every one will be refused")
    _warn_of_address(settings, addresses.values())
    admin = admin_client(bootstrap_servers)
    await asyncio.to_thread(require_topics, admin, settings.kafka)
    topic = full_name(WEBHOOKS, settings.kafka)
    ack_timeout_seconds = settings.ingest.ack_timeout_seconds
    broker = BrokerHealth(lambda: topic_fault(admin, topic))
    producer = AsyncProducer(
        bootstrap_servers,
        _CLIENT_ID,
        # a record that the sender was told to send again is worth nothing any more
        delivery_timeout_seconds=ack_timeout_seconds,
        max_queued=_MAX_QUEUED,
    )
    door = Door(
        addresses,
        WebhookLog(producer, topic, broker, ack_timeout_seconds),
        RejectLog(producer, full_name(REJECTED, settings.kafka)),
        settings.ingest,
        health=broker.fault,
    )
    watching = asyncio.gather(broker.watch(), day_keys.keep())
    try:
        with stop_signals() as stop:
            await _run(door, broker, settings, health_listen, stop)
    finally:
        watching.cancel()
        await producer.close()
        with contextlib.suppress(asyncio.CancelledError):  # as was asked for above
            await watching
    _log.info("ingest stopped")


def _warn_of_address(settings: Settings, addresses: Iterable[Address]) -> None:
    signing = sorted({each.source.name for each in addresses if each.source.signs_address})
    if signing and not settings.ingest.public_url:
        _log.warning(
            "ingest.public_url is not set: only webhooks that are sent to this address will fit",
            address=settings.ingest.base_url,
            sources=signing,
        )


async def _run(
    door: Door, broker: BrokerHealth, settings: Settings, health_listen: str, stop: asyncio.Event
) -> None:
    listener = Listener(door, settings.ingest.listen)
    listening = asyncio.Event()
    health = _health_server(health_listen, listening, broker)
    try:
        await listener.start()
        listening.set()
        _log.info(
            "ingest started", listen=f"{listener.host}:{listener.port}", health_port=health.port
        )
        await listener.run_until(stop)
        listening.clear()
    finally:
        await listener.close(READ_SECONDS + settings.ingest.ack_timeout_seconds + 1)
        health.close()


def _health_server(listen: str, listening: asyncio.Event, broker: BrokerHealth) -> HealthServer:
    checks = {
        "door": lambda: None if listening.is_set() else "not listening",
        "broker": broker.fault,
    }
    return HealthServer(listen, checks)
