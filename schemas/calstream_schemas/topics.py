"""The catalogue of topics: what each holds, how long it is kept, and its name in an installation.

Topics are made by `calstream topic create` and verified by `calstream topic check`; no client ever
creates one. All have the same number of partitions, and a record's partition is the hash of its
workspace alone, so that a workspace's records stay together and in order.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from calstream_core.kafka.limits import DEAD_TOPIC_BYTES
from calstream_core.settings import KafkaSettings

_DAY_MILLISECONDS = 24 * 60 * 60 * 1000
_FOR_EVER = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        name: without the installation's prefix.
        record: what its values are.
        key: what its keys are.
        compacted: keeps the newest record of each key for ever, instead of all for a while.
        retention_days: how long records are kept; None for ever.
        max_bytes: the largest record that the broker takes; None for its default.
    """

    name: str
    record: str
    key: str
    compacted: bool
    retention_days: int | None
    max_bytes: int | None = None

    def configuration(self, replication_factor: int) -> dict[str, str]:
        """The topic's settings at the broker."""
        settings = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(
                _FOR_EVER
                if self.retention_days is None
                else self.retention_days * _DAY_MILLISECONDS
            ),
            "min.insync.replicas": str(replication_factor // 2 + 1),
            "message.timestamp.type": "CreateTime",
        }
        if self.max_bytes is not None:
            settings["max.message.bytes"] = str(self.max_bytes)
        if self.compacted:
            settings |= {
                # a sink that is a day behind still sees every version
                "min.compaction.lag.ms": str(_DAY_MILLISECONDS),
                # a sink that was away for a week still learns of a deletion
                "delete.retention.ms": str(7 * _DAY_MILLISECONDS),
            }
        return settings


WEBHOOKS = Topic("webhooks", "WebhookReceived", "workspace", compacted=False, retention_days=7)
REJECTED = Topic(
    "webhooks.rejected", "WebhookRejected", "workspace", compacted=False, retention_days=7
)
OBSERVATIONS = Topic("observations", "Observation", "workspace", compacted=False, retention_days=30)
ENTITIES = Topic(
    "entities", "one record per kind", "workspace/kind/id", compacted=True, retention_days=None
)
RESOLVER_STATE = Topic(
    "resolver.state",
    "seen observation ids, rule sets, heads of the audit's chains",
    "workspace/id",
    compacted=True,
    retention_days=None,
)
CONFLICTS = Topic(
    "conflicts",
    "Conflict, DoubleBooking",
    "workspace/kind/id/group, workspace/double-booking/id",
    compacted=True,
    retention_days=None,
)
MATCH_REVIEWS = Topic(
    "match-reviews",
    "MatchReview",
    "workspace/match-review/id",
    compacted=True,
    retention_days=None,
)
AUDIT = Topic("audit", "AuditEntry", "workspace", compacted=False, retention_days=400)

ERASURES = Topic("erasures", "Erasure", "workspace/erasure/id", compacted=True, retention_days=None)


def _dead(name: str) -> Topic:
    return Topic(
        name,
        "the original bytes",
        "the original key",
        compacted=False,
        retention_days=30,
        max_bytes=DEAD_TOPIC_BYTES,  # whatever record was taken, with more headers
    )


PROCESSORS_DEAD = _dead("processors.dead")

WEBHOOK_DAYS = sum(topic.retention_days or 0 for topic in (WEBHOOKS, PROCESSORS_DEAD)) + 1
"""For how long a webhook as it came may be read: it may turn into a dead letter on its last day."""

_FIXED = (
    WEBHOOKS,
    REJECTED,
    OBSERVATIONS,
    ENTITIES,
    RESOLVER_STATE,
    CONFLICTS,
    MATCH_REVIEWS,
    ERASURES,
    AUDIT,
    PROCESSORS_DEAD,
)


def sink_ledger(sink: str) -> Topic:
    """The ledger of a sink."""
    return Topic(
        f"sink.{sink}.ledger",
        "LedgerEntry",
        "the entity's key",
        compacted=True,
        retention_days=None,
    )


def sink_dead(sink: str) -> Topic:
    """The dead letters of a sink."""
    return _dead(f"sink.{sink}.dead")


def catalogue(sinks: Iterable[str]) -> tuple[Topic, ...]:
    """Every topic of an installation with these sinks."""
    return (*_FIXED, *(t for sink in sorted(sinks) for t in (sink_ledger(sink), sink_dead(sink))))


def full_name(topic: Topic, kafka: KafkaSettings) -> str:
    """The topic's name at the broker."""
    return f"{kafka.topic_prefix}{topic.name}"
