"""Everything a sink writes to Kafka: its ledger, what it learned, and its dead letters.

Each method returns when the broker has what it wrote, and the local view with it.
"""

from collections.abc import Mapping, Sequence

from calstream_core.errors import Code
from calstream_core.kafka import AsyncProducer, partition_of
from calstream_core.metrics import DEAD_LETTERS
from calstream_core.sealing import KeyStore
from calstream_core.settings import KafkaSettings
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import encode_entity, entity_headers
from calstream_schemas.ledger import LedgerEntry, encode_ledger_entry
from calstream_schemas.observations import Observation, encode_observation
from calstream_schemas.topics import OBSERVATIONS, full_name, sink_dead, sink_ledger
from calstream_sinks.runner.view import LocalView


class Journal:
    """The Kafka side of one sink."""

    def __init__(
        self,
        sink_id: str,
        kafka: KafkaSettings,
        producer: AsyncProducer,
        keys: KeyStore,
        view: LocalView,
    ) -> None:
        self._sink_id = sink_id
        self._partitions = kafka.partitions
        self._observations = full_name(OBSERVATIONS, kafka)
        self._ledger = full_name(sink_ledger(sink_id), kafka)
        self._dead = full_name(sink_dead(sink_id), kafka)
        self._producer = producer
        self._keys = keys
        self._view = view

    def partition(self, key: str) -> int:
        """The partition of an entity's key."""
        return partition_of(key.split("/", 1)[0], self._partitions)

    async def record(self, entries: Mapping[str, LedgerEntry]) -> None:
        """Writes ledger entries."""
        sent = [
            self._producer.send(
                self._ledger, key, encode_ledger_entry(entry), partition=self.partition(key)
            )
            for key, entry in entries.items()
        ]
        for future in sent:
            await future
        for key, entry in entries.items():
            self._view.put_ledger(self.partition(key), key, entry)

    async def observe(self, observations: Sequence[Observation]) -> None:
        """Tells the resolver what this sink is about to do, did, or found."""
        sent = [
            self._producer.send(
                self._observations,
                observation.workspace,
                encode_observation(observation, self._keys.sealer(observation.workspace)),
                partition=partition_of(observation.workspace, self._partitions),
                headers=[
                    ("ce_id", observation.id.encode()),
                    ("ce_type", f"{self._sink_id}.{observation.fact}".encode()),
                    ("ce_time", str(observation.received_at).encode()),
                ],
            )
            for observation in observations
        ]
        for future in sent:
            await future

    async def bury(self, entity: Entity, code: Code, message: str, field: str) -> None:
        """Writes an entity that the vendor will not take to the sink's dead letters."""
        sealer = self._keys.sealer(entity.workspace)
        await self._producer.send(
            self._dead,
            entity.key,
            encode_entity(entity, sealer),
            partition=self.partition(entity.key),
            headers=[
                *entity_headers(entity, sealer),
                ("error_code", code.encode()),
                ("error_message", message.encode()),
                ("error_field", field.encode()),
                ("error_stage", f"sink.{self._sink_id}".encode()),
            ],
        )
        DEAD_LETTERS.labels(f"sink.{self._sink_id}", code).inc()
