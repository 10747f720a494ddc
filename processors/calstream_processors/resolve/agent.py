"""The stage that turns observations into entities: the only writer of the truth."""

from collections import defaultdict
from collections.abc import Callable

import faust
import structlog

from calstream_core.errors import Code, InvariantError, RecordError
from calstream_core.kafka import AsyncProducer, partition_of
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_processors.host.stage import Record, Stage
from calstream_processors.host.table import ConfirmedTable, Write
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import SeenObservations, Workspace
from calstream_schemas.codec import Poison
from calstream_schemas.entities.avro import decode_entity, encode_entity, entity_headers
from calstream_schemas.observations import decode_observation
from calstream_schemas.topics import (
    ENTITIES,
    OBSERVATIONS,
    PROCESSORS_DEAD,
    RESOLVER_STATE,
    Topic,
    full_name,
)

STAGE = "resolve"
_log = structlog.get_logger()


class ResolveStage:
    """Reads `observations`, keeps `entities` and `resolver.state` as its tables' changelogs."""

    def __init__(
        self, app: faust.App, settings: Settings, producer: AsyncProducer, keys: KeyStore
    ) -> None:
        self._app = app
        self._settings = settings
        self._keys = keys
        self._workspaces: defaultdict[str, Workspace] = defaultdict(Workspace)
        self._seen = SeenObservations()
        self._stage = Stage(
            STAGE, self._handle, producer, full_name(PROCESSORS_DEAD, settings.kafka)
        )
        self._entities = self._table(app, ENTITIES, producer)
        self._state = self._table(app, RESOLVER_STATE, producer)
        self._entities.on_recover(self._restore_entities)
        self._state.on_recover(self._restore_seen)
        source = app.topic(
            full_name(OBSERVATIONS, settings.kafka), key_type=bytes, value_type=bytes
        )

        async def agent(stream: faust.StreamT[bytes]) -> None:
            await self._stage.consume(app, stream)

        app.agent(source, name=STAGE)(agent)

    def _table(self, app: faust.App, topic: Topic, producer: AsyncProducer) -> ConfirmedTable:
        name = full_name(topic, self._settings.kafka)
        table = app.Table(
            topic.name,
            key_type=bytes,
            value_type=bytes,
            partitions=self._settings.kafka.partitions,
            changelog_topic=app.topic(name, key_type=bytes, value_type=bytes),
        )
        assert isinstance(table, ConfirmedTable)
        table.attach(producer, name)
        return table

    async def _restore_entities(self) -> None:
        await self._restore(self._read_entities)

    async def _restore_seen(self) -> None:
        await self._restore(self._read_seen)

    async def _restore(self, read: Callable[[], None]) -> None:
        try:
            read()
        except Exception as error:  # noqa: BLE001 - Faust would go on, with a part of the truth
            await self._app.crash(error)

    def _read_entities(self) -> None:
        self._workspaces.clear()
        count = 0
        for key, value in self._entities.items():
            entity = decode_entity(value, self._keys.sealer)
            if isinstance(entity, Poison):
                raise InvariantError(
                    Code.INVARIANT_BROKEN,
                    f"The entity {key.decode(errors='replace')} can't be read: {entity.reason}.",
                    hint="Are these the keys with which the workspace was written?",
                )
            self._workspaces[entity.workspace].put(entity)
            count += 1
        _log.info("entities restored", entities=count)

    def _read_seen(self) -> None:
        self._seen = SeenObservations(
            (key.decode(), int(value)) for key, value in self._state.items()
        )

    async def _handle(self, record: Record) -> str:
        observation = decode_observation(record.value or b"", self._keys.sealer)
        if isinstance(observation, Poison):
            raise RecordError(observation.code, observation.reason)
        expected = partition_of(observation.workspace, self._settings.kafka.partitions)
        if record.partition != expected:
            raise RecordError(
                Code.WORKSPACE_MISMATCH,
                f"Workspace {observation.workspace} does not belong to this partition.",
            )
        seen_key = f"{observation.workspace}/{observation.id}"
        if seen_key in self._seen:
            return "duplicate"
        workspace = self._workspaces[observation.workspace]
        sealer = self._keys.sealer(observation.workspace)
        made = resolve(workspace, observation, CALENDAR_TO_CRM)
        await self._entities.write(
            [
                Write(entity.key, encode_entity(entity, sealer), entity_headers(entity, sealer))
                for entity in made
            ],
            record.partition,
        )
        for entity in made:
            workspace.put(entity)
        # last: an observation that counts as seen has had its effect
        await self._mark_seen(seen_key, observation.received_at, record.partition)
        return "versions" if made else "unchanged"

    async def _mark_seen(self, key: str, received_at: int, partition: int) -> None:
        forgotten = self._seen.expired(received_at)
        await self._state.write(
            [
                Write(key, str(received_at).encode(), []),
                *(Write(old, None, []) for old in forgotten),
            ],
            partition,
        )
        self._seen.add(key, received_at)
