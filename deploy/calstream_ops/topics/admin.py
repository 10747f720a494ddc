"""Makes the topics of an installation and says where they differ from the catalogue.

No client creates a topic by itself, so this is the one place where their settings come from. All
functions block while they ask the broker.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicMetadata,
)

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.settings import Settings
from calstream_ops.topics.broker_errors import broker_unavailable, refused, settled
from calstream_ops.topics.state import (
    MISSING,
    PARTITIONS,
    REPLICAS,
    Difference,
    Outcome,
    TopicState,
)
from calstream_schemas.topics import Topic, catalogue, full_name

_ASK_SECONDS = 10
_ANSWER_SECONDS = 30
_PROBE_SECONDS = 2
_LOOK_SECONDS = 0.05


class TopicAdmin:
    """The topics of one installation at its broker.

    Args:
        bootstrap_servers: the broker.
        settings: the prefix, the counts, and the sinks, each of which has topics of its own.
    """

    def __init__(self, bootstrap_servers: str, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._topics = catalogue(settings.sinks)
        self._admin = AdminClient(
            {
                "bootstrap.servers": bootstrap_servers,
                "client.id": "calstream-topics",
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,  # whether the broker answers is told by our own error
            }
        )

    def create(self) -> dict[str, Outcome]:
        """Makes the topics that are missing; those that are there stay as they are.

        Afterwards each can be used: a broker confirms a topic some time before it serves it.

        Returns:
            What became of each, by its name at the broker.

        Raises:
            ConfigError: the broker refuses, for example because it has too few replicas.
            UnavailableError: it does not answer.
        """
        there = self._found()
        missing = {name: topic for name, topic in self._named() if name not in there}
        outcomes = dict.fromkeys((name for name, _ in self._named()), Outcome.PRESENT)
        if not missing:
            return outcomes
        factor = self._kafka.replication_factor
        asked = self._admin.create_topics(
            [
                NewTopic(name, self._kafka.partitions, factor, config=topic.configuration(factor))
                for name, topic in missing.items()
            ],
            request_timeout=_ANSWER_SECONDS,
        )
        for name, future in asked.items():
            if self._created(name, future):
                outcomes[name] = Outcome.CREATED
        self._wait_until_served(list(missing))
        return outcomes

    def check(self) -> list[Difference]:
        """What is not as the catalogue wants it.

        Raises:
            UnavailableError: the broker does not answer.
        """
        there = self._found()
        differences: list[Difference] = []
        for name, _ in self._named():
            if name not in there:
                differences.append(Difference(name, MISSING, "there", "missing", alterable=False))
            else:
                differences += self._shape_differences(name, there[name])
        present = {name: topic for name, topic in self._named() if name in there}
        for name, held in self._configurations(list(present)).items():
            wanted = present[name].configuration(self._kafka.replication_factor)
            differences += [
                Difference(name, key, value, held.get(key, ""), alterable=True)
                for key, value in wanted.items()
                if held.get(key) != value
            ]
        return differences

    def alter(self, differences: Iterable[Difference]) -> None:
        """Gives topics the settings that the catalogue wants, as far as that is possible.

        A shorter retention makes the broker delete what is older.

        Raises:
            ConfigError: the broker refuses.
            UnavailableError: it does not answer.
        """
        entries: dict[str, list[ConfigEntry]] = {}
        for each in differences:
            if each.alterable:
                entry = ConfigEntry(
                    each.setting, each.wanted, incremental_operation=AlterConfigOpType.SET
                )
                entries.setdefault(each.topic, []).append(entry)
        resources = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=changes)
            for name, changes in entries.items()
        ]
        if resources:
            asked = self._admin.incremental_alter_configs(
                resources, request_timeout=_ANSWER_SECONDS
            )
            for resource, future in asked.items():
                settled(future, f"The broker refuses to alter {resource.name}")

    def require_partitions(self) -> None:
        """Checks that no topic has another number of partitions than the settings say.

        Raises:
            ConfigError: one has; a workspace's records would be looked for in the wrong place.
            UnavailableError: the broker does not answer.
        """
        wrong = [each for each in self.check() if each.setting == PARTITIONS]
        if wrong:
            names = ", ".join(f"{each.topic} ({each.found})" for each in wrong)
            raise ConfigError(
                Code.TOPICS_DIFFER,
                f"Topics have another number of partitions than kafka.partitions, "
                f"{wrong[0].wanted}: {names}.",
                hint="Set it to what they have; it can't be changed once there is data.",
            )

    def states(self) -> list[TopicState]:
        """Every topic of the catalogue as it is.

        Raises:
            UnavailableError: the broker does not answer.
        """
        there = self._found()
        counts = self._offset_counts(
            {name: there[name] for name, _ in self._named() if name in there}
        )
        return [
            TopicState(
                topic,
                name,
                len(there[name].partitions) if name in there else 0,
                counts.get(name, 0),
            )
            for name, topic in self._named()
        ]

    def _named(self) -> Sequence[tuple[str, Topic]]:
        return [(full_name(topic, self._kafka), topic) for topic in self._topics]

    def _found(self) -> Mapping[str, TopicMetadata]:
        try:
            return self._admin.list_topics(timeout=_ASK_SECONDS).topics
        except KafkaException as error:
            raise broker_unavailable(error.args[0]) from error

    def _created(self, name: str, future: Future[None]) -> bool:
        """False where somebody else was first."""
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise refused(f"The topic {name} can't be created", error) from error
        return True

    def _wait_until_served(self, names: Sequence[str]) -> None:
        give_up_at = time.monotonic() + _ANSWER_SECONDS
        while (fault := self._unserved(names)) is not None:
            if time.monotonic() > give_up_at:
                raise UnavailableError(
                    Code.BROKER_UNAVAILABLE,
                    f"The broker made topics and does not serve them: {fault}.",
                )
            time.sleep(_LOOK_SECONDS)  # the broker only tells on asking

    def _unserved(self, names: Sequence[str]) -> str | None:
        """What keeps topics from being used, or None."""
        # for all topics: the client asks the broker anew then, and forgets what it thought it knew
        there = self._found()
        for name in names:
            leaders = (
                [each.leader for each in there[name].partitions.values()] if name in there else []
            )
            if not leaders or min(leaders) < 0:
                return f"{name} has no leader"
        places = [
            TopicPartition(name, number) for name in names for number in there[name].partitions
        ]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no types
        for place, future in self._offsets(places, latest, _PROBE_SECONDS).items():
            error = future.exception()
            if error is not None:
                return f"{place.topic}: {error}"
        return None

    def _offsets(
        self, places: Iterable[TopicPartition], spec: OffsetSpec, timeout_seconds: float
    ) -> Mapping[TopicPartition, Future[Any]]:
        return self._admin.list_offsets(
            dict.fromkeys(places, spec), request_timeout=timeout_seconds
        )

    def _shape_differences(self, name: str, topic: TopicMetadata) -> list[Difference]:
        replicas = {len(partition.replicas) for partition in topic.partitions.values()}
        shape = {
            PARTITIONS: (self._kafka.partitions, {len(topic.partitions)}),
            REPLICAS: (self._kafka.replication_factor, replicas),
        }
        return [
            Difference(
                name, setting, str(wanted), "/".join(map(str, sorted(found))), alterable=False
            )
            for setting, (wanted, found) in shape.items()
            if found != {wanted}
        ]

    def _configurations(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        found: dict[str, dict[str, str]] = {}
        asked = self._admin.describe_configs(resources, request_timeout=_ANSWER_SECONDS)
        for resource, future in asked.items():
            entries: Mapping[str, Any] = settled(
                future, f"The settings of {resource.name} can't be read"
            )
            found[resource.name] = {key: str(entry.value) for key, entry in entries.items()}
        return found

    def _offset_counts(self, topics: Mapping[str, TopicMetadata]) -> dict[str, int]:
        places = [
            TopicPartition(name, number)
            for name, topic in topics.items()
            for number in topic.partitions
        ]
        if not places:
            return {}
        counts: dict[str, int] = {}
        begin, end = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no types
        for spec, sign in ((begin, -1), (end, 1)):
            for place, future in self._offsets(places, spec, _ANSWER_SECONDS).items():
                offset = settled(future, f"The offsets of {place.topic} can't be read").offset
                counts[place.topic] = counts.get(place.topic, 0) + sign * offset
        return counts
