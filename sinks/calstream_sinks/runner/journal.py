"""Everything a sink writes to Kafka: its ledger, what it learned, and its dead letters.

What belongs together is one transaction, fenced by the partition: an announcement is there with the
intent, a result with the success. It is durable, and in the local view, when `commit` returns.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from calstream_core.errors import Code
from calstream_core.kafka import partition_of
from calstream_core.metrics import DEAD_LETTERS
from calstream_core.sealing import KeyName, KeyStore
from calstream_core.settings import KafkaSettings
from calstream_engine import StateWriter, Work
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import encode_entity, entity_headers
from calstream_schemas.ledger import LedgerEntry, encode_ledger_entry
from calstream_schemas.observations import Observation, encode_observation, sealed_with
from calstream_schemas.topics import OBSERVATIONS, full_name, sink_dead
from calstream_sinks.runner.view import LocalView

LEDGER = "ledger"
"""The name of a sink's table."""


@dataclass(frozen=True, slots=True)
class Burial:
    """An entity that the vendor will not take, for the dead letters."""

    entity: Entity
    code: Code
    message: str
    field: str


class Journal:
    """The Kafka side of one sink."""

    def __init__(
        self,
        sink_id: str,
        kafka: KafkaSettings,
        writer: StateWriter,
        keys: KeyStore,
        view: LocalView,
    ) -> None:
        self._sink_id = sink_id
        self._partitions = kafka.partitions
        self._observations = full_name(OBSERVATIONS, kafka)
        self._dead = full_name(sink_dead(sink_id), kafka)
        self._writer = writer
        self._keys = keys
        self._view = view

    def partition(self, key: str) -> int:
        """The partition of an entity's key."""
        return partition_of(key.split("/", 1)[0], self._partitions)

    async def commit(
        self,
        *,
        observations: Iterable[Observation] = (),
        entries: Mapping[str, LedgerEntry | None] | None = None,
        buried: Iterable[Burial] = (),
    ) -> None:
        """Writes what a step brings: one transaction for each partition that it touches.

        An entry that is None is removed from the ledger.

        Raises:
            FencedError: a partition is another worker's now; nothing of it counts.
            UnavailableError: the broker does not confirm, or the key store does not answer.
        """
        works: dict[int, Work] = {}
        observations = list(observations)
        await self._make_keys(observations)
        for observation in observations:
            self._observe(self._work(works, observation.workspace), observation)
        for key, entry in (entries or {}).items():
            work = self._work(works, key.split("/", 1)[0])
            work[LEDGER].put(key.encode(), None if entry is None else encode_ledger_entry(entry))
        burials = list(buried)
        for burial in burials:
            self._bury(self._work(works, burial.entity.workspace), burial)
        await asyncio.gather(*(self._writer.write(work) for work in works.values()))
        for key, entry in (entries or {}).items():
            self._view.put_ledger(self.partition(key), key, entry)
        for burial in burials:
            DEAD_LETTERS.labels(f"sink.{self._sink_id}", burial.code).inc()

    def _work(self, works: dict[int, Work], workspace: str) -> Work:
        partition = partition_of(workspace, self._partitions)
        known = works.get(partition)
        if known is None:
            known = works[partition] = self._writer.work(partition)
        return known

    async def _make_keys(self, observations: Iterable[Observation]) -> None:
        """Makes the keys that are missing in one go, and beside the loop: it may take a while."""
        wanted: defaultdict[str, list[KeyName]] = defaultdict(list)
        for observation in observations:
            key = sealed_with(observation)
            if key is not None:
                wanted[observation.workspace].append(key)
        for workspace, names in wanted.items():
            await asyncio.to_thread(self._keys.sealer(workspace).make, names)

    def _observe(self, work: Work, observation: Observation) -> None:
        sealer = self._keys.sealer(observation.workspace)
        work.send(
            self._observations,
            observation.workspace.encode(),
            encode_observation(observation, sealer),
            headers=[
                ("ce_id", observation.id.encode()),
                ("ce_type", f"{self._sink_id}.{observation.fact}".encode()),
                ("ce_time", str(observation.received_at).encode()),
            ],
        )

    def _bury(self, work: Work, burial: Burial) -> None:
        entity = burial.entity
        sealer = self._keys.sealer(entity.workspace)
        work.send(
            self._dead,
            entity.key.encode(),
            encode_entity(entity, sealer),
            headers=[
                *entity_headers(entity, sealer),
                ("error_code", burial.code.encode()),
                ("error_message", burial.message.encode()),
                ("error_field", burial.field.encode()),
                ("error_stage", f"sink.{self._sink_id}".encode()),
            ],
        )
