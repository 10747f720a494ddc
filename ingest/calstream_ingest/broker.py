"""What ingest knows of the broker: whether its topics are there, and whether it answers."""

import asyncio
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.settings import KafkaSettings
from calstream_schemas.topics import REJECTED, WEBHOOKS, full_name

_START_SECONDS = 10
_ASK_SECONDS = 2
_ASK_EVERY_SECONDS = 2

_log = structlog.get_logger()


def admin_client(bootstrap_servers: str) -> AdminClient:
    """A client for questions about topics."""
    return AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "client.id": "calstream-ingest",
            "reconnect.backoff.max.ms": 1000,
            "log_level": 2,  # the health check tells; librdkafka's own log repeats it
        }
    )


def require_topics(admin: AdminClient, kafka: KafkaSettings) -> None:
    """Checks that the topics to write to are there; blocks while it asks.

    Raises:
        UnavailableError: no broker answers within ten seconds.
        ConfigError: a topic is missing or has another number of partitions.
    """
    try:
        found = admin.list_topics(timeout=_START_SECONDS).topics
    except KafkaException as error:
        raise UnavailableError(
            Code.BROKER_UNAVAILABLE,
            f"The broker does not answer: {error.args[0].str()}.",
            hint="Is it up, and is its address right?",
        ) from error
    for topic in (WEBHOOKS, REJECTED):
        name = full_name(topic, kafka)
        count = len(found[name].partitions) if name in found else 0
        if count != kafka.partitions:
            raise ConfigError(
                Code.TOPICS_DIFFER,
                f"The topic {name} has {count} partitions and must have {kafka.partitions}."
                if count
                else f"The topic {name} is missing.",
                hint="Create the topics with `calstream topic create`.",
            )


def topic_fault(admin: AdminClient, topic: str) -> str | None:
    """Asks the broker for a topic and tells why it can't be written, if so; blocks."""
    try:
        found = admin.list_topics(topic=topic, timeout=_ASK_SECONDS).topics.get(topic)
    except KafkaException as error:
        return f"the broker does not answer: {error.args[0].str()}"
    if found is None or found.error is not None:
        reason = found.error.str() if found and found.error else "it is missing"
        return f"the topic {topic} can't be used: {reason}"
    orphans = [number for number, part in found.partitions.items() if part.leader < 0]
    if orphans:
        return f"{len(orphans)} partitions of {topic} have no leader"
    return None


class BrokerHealth:
    """Whether webhooks can be stored now, from what became of them and by asking.

    Asking is needed for both ways: a broker that goes while nothing is sent is noticed, and one
    that comes back is too, though a load balancer that reads our health sends nothing here.

    Args:
        ask: tells what is wrong with the broker, or None; may block, called on a thread.
    """

    def __init__(self, ask: Callable[[], str | None]) -> None:
        self._ask = ask
        self._fault: str | None = None

    def fault(self) -> str | None:
        """What is wrong, or None. Safe in any thread."""
        return self._fault

    def confirmed(self) -> None:
        """The broker has confirmed a record."""
        if self._fault is not None:
            self._change(None)

    def failed(self, reason: str) -> None:
        """The broker has not confirmed a record; holds until it confirms one or answers."""
        self._change(reason)

    async def watch(self) -> None:
        """Asks every two seconds, for as long as it is not cancelled."""
        while True:
            self._change(await asyncio.to_thread(self._ask))
            await asyncio.sleep(_ASK_EVERY_SECONDS)

    def _change(self, fault: str | None) -> None:
        if (fault is None) != (self._fault is None):
            if fault is None:
                _log.info("the broker takes webhooks again")
            else:
                _log.error("the broker takes no webhooks", reason=fault)
        self._fault = fault
