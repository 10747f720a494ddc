"""The stages' own functions on Quix Streams, in place of our engine.

Quix Streams hands over one record at a time and keeps the state with its changelog, at least once.
What is done with a record is what our stages do with it.
"""

import gc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from quixstreams import Application, State
from quixstreams.models.serializers import Serializer

from calstream_core.kafka import partition_of
from calstream_core.sealing import KeyStore, key_table, open_keys
from calstream_core.settings import load_settings
from calstream_engine import Batch, Work
from calstream_engine.records import Place
from calstream_engine.work import TableSpec
from calstream_ops.bench.bookings import WORKSPACE
from calstream_ops.bench.pinned import pin, tell_progress
from calstream_ops.bench.sampling import Sampler
from calstream_ops.bench.steps import REST, STEPS
from calstream_ops.bench.worker import tell
from calstream_processors.normalise.agent import NormaliseStage
from calstream_processors.resolve.agent import ResolveStage
from calstream_schemas.topics import (
    CONFLICTS,
    ENTITIES,
    ERASURES,
    MATCH_REVIEWS,
    OBSERVATIONS,
    RESOLVER_STATE,
    WEBHOOKS,
    full_name,
)

_COLLECT_AFTER = (50_000, 20, 100)  # as our own engine has it
_TABLES = (ENTITIES, MATCH_REVIEWS, CONFLICTS, ERASURES, RESOLVER_STATE)


class Pair(Serializer):  # type: ignore[misc]  # Quix Streams is in an environment of its own
    """Writes the second of a key and a value; the first is what `to_topic` takes as the key."""

    def __call__(self, value: Any, ctx: Any) -> bytes:  # noqa: ARG002 - the base's
        """The bytes of the value."""
        written: bytes = value[1]
        return written


class Single:
    """A record as our stages read it."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def value(self) -> bytes:
        """The value."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)


class Kept:
    """What Quix Streams keeps of a table, as a store of ours; below it what was known before."""

    checkpoint = 0

    def __init__(self, table: str, known: dict[bytes, bytes]) -> None:
        self.state: State | None = None
        self._prefix = f"{table}/"
        self._known = known

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        assert self.state is not None
        found: bytes | None = self.state.get_bytes(self._prefix + key.decode())
        return self._known.get(key) if found is None else found

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """What was known before."""
        return iter(self._known.items())

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Makes changes."""
        assert self.state is not None
        for key, value in changes:
            if value is None:
                self.state.delete(self._prefix + key.decode())
            else:
                self.state.set_bytes(self._prefix + key.decode(), value)


class Stages:
    """Our two stages, a record at a time."""

    def __init__(self, settings: Any, keys: KeyStore, known: dict[bytes, bytes]) -> None:
        self._partition = partition_of(WORKSPACE, settings.kafka.partitions)
        self._normalise = NormaliseStage(settings, keys)
        self._resolve = ResolveStage(settings, keys)
        self._kept = {t.name: Kept(t.name, known if t is ENTITIES else {}) for t in _TABLES}
        self._resolve.restored(self._partition, self._work())

    def normalise(self, webhook: bytes) -> list[tuple[bytes, bytes]]:
        """The observations of a webhook."""
        work = Work(self._partition, {})
        self._normalise.handle(self._batch(WEBHOOKS.name, webhook), work)
        _look(work)
        return _pairs(work.sent)

    def resolve(self, observation: bytes, state: State) -> list[tuple[bytes, bytes]]:
        """The new versions of entities."""
        for kept in self._kept.values():
            kept.state = state
        work = self._work()
        self._resolve.handle(self._batch(OBSERVATIONS.name, observation), work)
        _look(work)
        for name, table in work.tables.items():
            self._kept[name].apply(table.changes())
        return _pairs(work[ENTITIES.name].outgoing(self._partition))

    def _batch(self, topic: str, value: bytes) -> Batch:
        record: Any = Single(value)
        return Batch(Place(topic, self._partition), [record], 0)

    def _work(self) -> Work:
        tables: Any = {
            topic.name: (TableSpec(topic.name, topic.name, every_version=True), kept)
            for topic, kept in zip(_TABLES, self._kept.values(), strict=True)
        }
        return Work(self._partition, tables)


def _look(work: Work) -> None:
    """Ends the run if something was refused: what is measured is not the whole work then."""
    for _record, error in work.rejected:
        raise error


def _pairs(records: Iterable[Any]) -> list[tuple[bytes, bytes]]:
    return [(record.key, record.value) for record in records]


def host(settings: dict[str, Any]) -> None:
    """Runs until SIGTERM.

    Args:
        settings: the file with our own, the core, and what Quix Streams is told.
    """
    if settings["core"] is not None:
        pin(settings["core"])
    tell_progress(Sampler(STEPS, REST))
    gc.set_threshold(*_COLLECT_AFTER)
    ours = load_settings(Path(settings["file"]), {}).settings
    keys = open_keys(ours)
    with keys.database.reading() as connection:
        ids = [stored.id for stored in key_table.everything(connection)]
    keys.sealer(WORKSPACE).load(ids)
    servers = ours.kafka.bootstrap_servers
    known = _known(servers, full_name(ENTITIES, ours.kafka), ours.kafka.partitions)
    stages = Stages(ours, keys, known)
    application = Application(
        broker_address=servers,
        consumer_group=f"{ours.kafka.topic_prefix}quix",
        state_dir=settings["state_directory"],
        auto_create_topics=True,  # of changelogs too, which have names of its own
        loglevel="WARNING",
        **settings["application"],
    )

    def topic(name: str) -> Any:
        return application.topic(
            name, key_deserializer="bytes", value_deserializer="bytes",
            key_serializer="bytes", value_serializer=Pair(),
        )  # fmt: skip

    webhooks, observations, entities = (
        topic(full_name(one, ours.kafka)) for one in (WEBHOOKS, OBSERVATIONS, ENTITIES)
    )
    application.dataframe(webhooks).apply(stages.normalise, expand=True).to_topic(
        observations, key=_key
    )
    application.dataframe(observations).apply(stages.resolve, stateful=True, expand=True).to_topic(
        entities, key=_key
    )
    tell("ready")
    application.run()


def _key(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0]


def _known(servers: str, topic: str, partitions: int) -> dict[bytes, bytes]:
    """The newest value of each key of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bench-known",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    place = TopicPartition(topic, partition_of(WORKSPACE, partitions), 0)
    _, end = consumer.get_watermark_offsets(place)
    consumer.assign([place])
    known: dict[bytes, bytes] = {}
    read = 0
    while read < end:
        for message in consumer.consume(10_000, 0.5):
            if message.error() is None:
                known[message.key() or b""] = message.value() or b""
                read += 1
    consumer.close()
    return known
