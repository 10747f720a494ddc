"""Asks a process whether it is well."""

import asyncio

import httpx
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

_KAFKA = "kafka://"
_ASK_SECONDS = 2.0
_BETWEEN_SECONDS = 0.05


async def is_healthy(health: str) -> bool:
    """Whether the process answers that it is well, within two seconds.

    Args:
        health: `http://HOST:PORT/path`, which must answer 200, or `kafka://HOST:PORT`, where a
            broker must tell of itself.
    """
    if health.startswith(_KAFKA):
        address = health.removeprefix(_KAFKA)
        return await asyncio.to_thread(broker_answers, admin_client(address), _ASK_SECONDS)
    async with httpx.AsyncClient(timeout=_ASK_SECONDS, trust_env=False) as client:
        return await _answers_200(client, health)


async def until_healthy(health: str) -> None:
    """Returns when the process answers that it is well; asks for as long as it is not cancelled."""
    if health.startswith(_KAFKA):
        admin = admin_client(health.removeprefix(_KAFKA))
        while not await asyncio.to_thread(broker_answers, admin, 0.25):
            pass
        return
    async with httpx.AsyncClient(timeout=_ASK_SECONDS, trust_env=False) as client:
        while not await _answers_200(client, health):  # noqa: ASYNC110 - the event is in another process, which can only be asked
            await asyncio.sleep(_BETWEEN_SECONDS)


def admin_client(address: str) -> AdminClient:
    """A client that tries again quickly and says nothing of its failures."""
    return AdminClient(
        {
            "bootstrap.servers": address,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,  # that a broker is not up yet is what is asked here
        }
    )


def broker_answers(admin: AdminClient, timeout_seconds: float) -> bool:
    """Whether a broker serves requests; blocks up to the time-out while there is none."""
    try:
        return bool(admin.list_topics(timeout=timeout_seconds).brokers)
    except KafkaException:
        return False


async def _answers_200(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
