"""The topics, apps and times of a trial, the same in the harness and in its workers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS: Final = 12
SESSION_SECONDS: Final = 3.0
TRANSACTIONAL_APP: Final = "chaos-totals"
PLAIN_APP: Final = "chaos-forward"
TOTALS: Final = "totals"
VERSIONS: Final = "versions"

BROKER_PROPERTIES: Final[Mapping[str, str]] = {
    # workers' sessions are short, so that a take-over takes seconds
    "group.min.session.timeout.ms": "1000",
    # compaction is part of the trial and must not take its time
    "log.cleaner.backoff.ms": "500",
    # segments are rolled often; each would else get an index of 10 MiB
    "log.index.size.max.bytes": "65536",
}
"""What the trial's broker has that ours has not."""

_KEEPS_ALL: Final[Mapping[str, str]] = {"cleanup.policy": "delete", "retention.ms": "-1"}
_CREATE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of a trial.

    Attributes:
        source: what flows in.
        totals: the changelog of the state; compacted as often as Kafka can.
        versions: the changelog of the truth: every version, none of them compacted away.
        outputs: what the transactional stage sends, one record for each of the source.
        forwarded: what the plain stage sends.
        dead: the dead letters of the transactional stage.
    """

    source: str = "chaos.source"
    totals: str = "chaos.totals"
    versions: str = "chaos.versions"
    outputs: str = "chaos.outputs"
    forwarded: str = "chaos.forwarded"
    dead: str = "chaos.dead"


TOPICS: Final = Topics()

_CONFIGURATIONS: Final[Mapping[str, Mapping[str, str]]] = {
    TOPICS.source: _KEEPS_ALL,
    TOPICS.totals: {
        "cleanup.policy": "compact",
        "segment.ms": "1000",
        "min.cleanable.dirty.ratio": "0.01",
        "min.compaction.lag.ms": "0",
    },
    # compacted as every truth is, but later than the trial's end: it compares every version
    TOPICS.versions: {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"},
    TOPICS.outputs: _KEEPS_ALL,
    TOPICS.forwarded: _KEEPS_ALL,
    TOPICS.dead: _KEEPS_ALL,
}


def create_topics(bootstrap_servers: str) -> None:
    """Makes the topics of a trial at a broker that has none of them; blocks."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    asked = admin.create_topics(
        [
            NewTopic(name, PARTITIONS, 1, config=dict(configuration))
            for name, configuration in _CONFIGURATIONS.items()
        ]
    )
    for future in asked.values():
        future.result(_CREATE_SECONDS)
