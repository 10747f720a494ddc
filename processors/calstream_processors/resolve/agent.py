"""The stage that turns observations into entities: the only writer of the truth.

Transactional: new versions, the observations that count as seen, dead letters and the position in
`observations` are one transaction, so a crash leaves all of a batch or nothing.
"""

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator

import faust
import structlog

from calstream_core.errors import (
    CalstreamError,
    Code,
    ConfigError,
    InvariantError,
    RecordError,
    UnavailableError,
)
from calstream_core.kafka import partition_of
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_engine import (
    Batch,
    EngineSettings,
    Mode,
    Slot,
    Work,
    batch_agent,
    create_app,
    state_table,
    truth_table,
)
from calstream_processors.handover import Handover
from calstream_processors.resolve.keys_ahead import keys_ahead
from calstream_processors.resolve.partition import Partition
from calstream_processors.resolve.resolution import Destinations, Resolution
from calstream_schemas.codec import Poison
from calstream_schemas.observations import Observation
from calstream_schemas.topics import (
    AUDIT,
    CONFLICTS,
    ENTITIES,
    ERASURES,
    MATCH_REVIEWS,
    OBSERVATIONS,
    PROCESSORS_DEAD,
    RESOLVER_STATE,
    full_name,
)

STAGE = "resolve"
_log = structlog.get_logger()


def resolve_app(
    settings: Settings, bootstrap_servers: str, stage: "ResolveStage", slot: Slot
) -> faust.App:
    """The app that reads `observations`; `entities` and `resolver.state` are its tables' logs.

    Args:
        settings: the installation's.
        bootstrap_servers: the broker.
        stage: what resolves.
        slot: this worker's.
    """
    app = create_app(
        EngineSettings(
            app=f"{settings.kafka.topic_prefix}calstream-resolve",
            bootstrap_servers=bootstrap_servers,
            mode=Mode.TRANSACTIONAL,
            dead_topic=full_name(PROCESSORS_DEAD, settings.kafka),
            state_directory=slot.directory / STAGE,
            position_table=RESOLVER_STATE.name,
            instance_id=slot.instance_id,
        )
    )
    truth_table(app, ENTITIES.name, full_name(ENTITIES, settings.kafka))
    truth_table(app, MATCH_REVIEWS.name, full_name(MATCH_REVIEWS, settings.kafka))
    truth_table(app, CONFLICTS.name, full_name(CONFLICTS, settings.kafka))
    truth_table(app, ERASURES.name, full_name(ERASURES, settings.kafka))
    state_table(app, RESOLVER_STATE.name, full_name(RESOLVER_STATE, settings.kafka))
    source = full_name(OBSERVATIONS, settings.kafka)
    batch_agent(app, source, name=STAGE)(stage)
    return app


class ResolveStage:
    """Resolves batches of observations. Fulfils the engine's `Handler`."""

    def __init__(
        self, settings: Settings, keys: KeyStore, handover: Handover | None = None
    ) -> None:
        self._partition_count = settings.kafka.partitions
        self._destinations = Destinations(
            full_name(OBSERVATIONS, settings.kafka), full_name(AUDIT, settings.kafka)
        )
        self._keys = keys
        self._handover = handover or Handover()
        self._partitions: dict[int, Partition] = {}

    def restored(self, partition: int, work: Work) -> None:
        """Indexes the entities of a partition; reads its reviews, conflicts and what was seen.

        Raises:
            InvariantError: a record can't be read; to go on with a part of the truth would write
                the rest anew.
        """
        restored = Partition(self._keys, work)
        restored.restore_state(work[RESOLVER_STATE.name].store.items())
        count = restored.restore(work[ENTITIES.name].store.items())
        restored.restore_reviews(work[MATCH_REVIEWS.name].store.items())
        restored.restore_conflicts(work[CONFLICTS.name].store.items())
        restored.restore_erasures(work[ERASURES.name].store.items())
        self._partitions[partition] = restored
        gc.freeze()  # the indexes stay: nobody need look for cycles in them again
        _log.info("entities restored", partition=partition, entities=count)

    def handle(self, batch: Batch, work: Work) -> None:
        """Resolves observations in the order of the log."""
        if batch.partition not in self._partitions:
            self.restored(batch.partition, work)
        partition = self._partitions[batch.partition]
        partition.work = work
        decoded = self._handover.read([record.value() or b"" for record in batch], self._keys)
        self._make_keys(decoded, partition)
        for record, observation in zip(batch, decoded, strict=True):
            try:
                work.count(self._resolve(observation, partition, work))
            except (InvariantError, ConfigError, UnavailableError):
                raise
            except CalstreamError as error:
                work.reject(record, error)
            except Exception as error:  # noqa: BLE001 - a bug of ours, but this record's alone:
                # nothing was changed yet, it is kept with its bytes, and the others go on
                _log.exception("record failed", stage=STAGE, offset=record.offset())
                work.reject(record, RecordError(Code.RECORD_FAILED, type(error).__name__))
        partition.audit.keep(work[RESOLVER_STATE.name].put)

    def _make_keys(
        self, observations: Iterable[Observation | Poison], partition: Partition
    ) -> None:
        by_workspace: defaultdict[str, list[Observation]] = defaultdict(list)
        for observation in observations:
            if isinstance(observation, Observation):
                by_workspace[observation.workspace].append(observation)
        for name, its in by_workspace.items():
            workspace = partition.workspace(name)
            self._keys.sealer(name).make(keys_ahead(workspace, its, workspace.rules))

    def _resolve(self, observation: Observation | Poison, partition: Partition, work: Work) -> str:
        if isinstance(observation, Poison):
            raise RecordError(observation.code, observation.reason)
        name = observation.workspace
        if work.partition != partition_of(name, self._partition_count):
            raise RecordError(
                Code.WORKSPACE_MISMATCH, f"Workspace {name} does not belong to this partition."
            )
        workspace, sealer = partition.workspace(name), self._keys.sealer(name)
        return Resolution(partition, workspace, work, sealer, self._destinations).run(observation)

    def due(self, now: int) -> Iterator[tuple[str, int]]:
        """The workspaces that a tick would change, each with when its last tick was.

        Args:
            now: microseconds.
        """
        for partition in list(self._partitions.values()):
            yield from partition.due(now)

    def committed(self, partition: int) -> None:
        """Nothing to do: `handle` has changed what is derived."""

    def rolled_back(self, partition: int) -> None:
        """Drops what is derived; it is read again from the tables if the partition goes on."""
        self._partitions.pop(partition, None)

    def released(self, partition: int) -> None:
        """Drops what is derived."""
        self._partitions.pop(partition, None)
