"""The resolver's stage on tables in memory: what it writes, and how it starts anew."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from calstream_core.kafka import partition_of
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_engine import Batch, Work
from calstream_engine.records import Place
from calstream_engine.state.memory import MemoryStore
from calstream_engine.work import TableSpec
from calstream_processors.resolve.agent import ResolveStage
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import decode_entity
from calstream_schemas.observations import Observation, encode_observation
from calstream_schemas.topics import (
    CONFLICTS,
    ENTITIES,
    ERASURES,
    MATCH_REVIEWS,
    OBSERVATIONS,
    RESOLVER_STATE,
    Topic,
)

TABLES = (ENTITIES, CONFLICTS, MATCH_REVIEWS, ERASURES, RESOLVER_STATE)


@dataclass(frozen=True)
class LogRecord:
    """A record of the log; fulfils the engine's `Record`."""

    place: int
    content: bytes

    def topic(self) -> str:
        return OBSERVATIONS.name

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.place

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes:
        return self.content

    def headers(self) -> Any:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)

    def __len__(self) -> int:
        return len(self.content)


class StageScene:
    """One workspace's partition.

    Attributes:
        written: every change of every table, in order: its topic, key and value.
        outcomes: what became of observations, by count.
    """

    def __init__(self, settings: Settings, keys: KeyStore, workspace: str = "acme") -> None:
        self.keys = keys
        self.workspace = workspace
        self.partition = partition_of(workspace, settings.kafka.partitions)
        self.stores = {table.name: MemoryStore() for table in TABLES}
        self.written: list[tuple[str, bytes, bytes | None]] = []
        self.outcomes: dict[str, int] = {}
        self._settings = settings
        self._offset = 0
        self.start()

    def start(self) -> None:
        """A worker takes the partition over."""
        self.stage = ResolveStage(self._settings, self.keys)
        self.stage.restored(self.partition, self._work())

    def hear(self, *observations: Observation) -> None:
        """Resolves observations, each as a batch of its own."""
        for observation in observations:
            value = encode_observation(observation, self.keys.sealer(observation.workspace))
            work = self._work()
            place = Place(OBSERVATIONS.name, self.partition)
            record = LogRecord(self._offset, value)
            self._offset += 1
            self.stage.handle(Batch(place, [record], self._offset), work)
            assert not work.rejected, work.rejected
            for name, table in work.tables.items():
                self.stores[name].apply(table.changes(), self._offset)
                outgoing = table.outgoing(self.partition)
                self.written += [(name, each.key or b"", each.value) for each in outgoing]
            self.stage.committed(self.partition)
            for outcome, count in work.outcomes.items():
                self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count

    def table(self, topic: Topic) -> dict[str, bytes]:
        """What a table holds."""
        return {key.decode(): value for key, value in self.stores[topic.name].items()}

    def entities(self, kind: str) -> list[Entity]:
        """The entities of a kind, by key."""
        return [
            self._entity(value)
            for key, value in sorted(self.table(ENTITIES).items())
            if f"/{kind}/" in key
        ]

    def due(self, now: int) -> list[str]:
        """The workspaces that want a tick."""
        return [name for name, _ in self.stage.due(now)]

    def _entity(self, value: bytes) -> Entity:
        entity = decode_entity(value, self.keys.sealer)
        assert isinstance(entity, Entity), entity
        return entity

    def _work(self) -> Work:
        specs = {
            table.name: (
                TableSpec(table.name, table.name, every_version=table is not RESOLVER_STATE),
                self.stores[table.name],
            )
            for table in TABLES
        }
        return Work(self.partition, specs)


def replayed(
    scene: StageScene, observations: Iterable[Observation], settings: Settings
) -> StageScene:
    """What the same log gives on empty tables, with the same keys."""
    again = StageScene(settings, scene.keys, scene.workspace)
    again.hear(*observations)
    return again
