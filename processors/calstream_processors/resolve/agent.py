"""The stage that turns observations into entities: the only writer of the truth.

Transactional: new versions, the observations that count as seen, dead letters and the position in
`observations` are one transaction, so a crash leaves all of a batch or nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

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
from calstream_processors.resolve.conflicts import conflict_changes
from calstream_processors.resolve.keys_ahead import keys_ahead
from calstream_processors.resolve.refold import refold
from calstream_processors.resolve.resolver import cause_of, resolve
from calstream_processors.resolve.state import OpenConflicts, SeenObservations, Workspace
from calstream_schemas.codec import Poison
from calstream_schemas.conflicts import decode_conflict, encode_conflict
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import decode_entities, encode_entity, entity_headers, key_of
from calstream_schemas.observations import Observation, decode_observations
from calstream_schemas.resolver_state import rules_key, workspace_of_rules
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.topics import (
    CONFLICTS,
    ENTITIES,
    OBSERVATIONS,
    PROCESSORS_DEAD,
    RESOLVER_STATE,
    full_name,
)

STAGE = "resolve"
_AT_ONCE = 1000  # entities that are decoded together when a partition is restored
_log = structlog.get_logger()


def resolve_app(
    settings: Settings, bootstrap_servers: str, keys: KeyStore, slot: Slot
) -> faust.App:
    """The app that reads `observations`; `entities` and `resolver.state` are its tables' logs."""
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
    truth_table(app, CONFLICTS.name, full_name(CONFLICTS, settings.kafka))
    state_table(app, RESOLVER_STATE.name, full_name(RESOLVER_STATE, settings.kafka))
    source = full_name(OBSERVATIONS, settings.kafka)
    batch_agent(app, source, name=STAGE)(ResolveStage(settings, keys))
    return app


@dataclass
class _Partition:
    """What is derived from the tables of one partition."""

    workspaces: defaultdict[str, Workspace] = field(default_factory=lambda: defaultdict(Workspace))
    seen: SeenObservations = field(default_factory=SeenObservations)
    conflicts: OpenConflicts = field(default_factory=OpenConflicts)


class ResolveStage:
    """Resolves batches of observations. Fulfils the engine's `Handler`."""

    def __init__(self, settings: Settings, keys: KeyStore) -> None:
        self._partition_count = settings.kafka.partitions
        self._keys = keys
        self._partitions: dict[int, _Partition] = {}

    def restored(self, partition: int, work: Work) -> None:
        """Reads the entities of a partition, and what was seen lately.

        Raises:
            InvariantError: an entity can't be read; to go on with a part of the truth would write
                the rest anew.
        """
        restored = _Partition()
        count = 0
        for some in _slices(work[ENTITIES.name].store.items()):
            entities = decode_entities([value for _key, value in some], self._keys.sealer)
            for (key, _value), entity in zip(some, entities, strict=True):
                if isinstance(entity, Poison):
                    name = key.decode(errors="replace")
                    raise InvariantError(
                        Code.INVARIANT_BROKEN,
                        f"The entity {name} can't be read: {entity.reason}.",
                        hint="Are these the keys with which the workspace was written?",
                    )
                restored.workspaces[entity.workspace].put(entity)
            count += len(some)
        for key, value in work[CONFLICTS.name].store.items():
            conflict = decode_conflict(value, self._keys.sealer)
            if isinstance(conflict, Poison):
                raise InvariantError(
                    Code.INVARIANT_BROKEN,
                    f"The conflict {key.decode(errors='replace')} can't be read: "
                    f"{conflict.reason}.",
                )
            restored.conflicts.put(conflict)
        seen = []
        for key, value in work[RESOLVER_STATE.name].store.items():
            workspace = workspace_of_rules(key)
            if workspace is None:
                seen.append((key.decode(), int(value)))
            else:
                restored.workspaces[workspace].rules = RuleSet.decode(value)
        restored.seen = SeenObservations(seen)
        self._partitions[partition] = restored
        _log.info("entities restored", partition=partition, entities=count)

    def handle(self, batch: Batch, work: Work) -> None:
        """Resolves observations in the order of the log."""
        if batch.partition not in self._partitions:
            self.restored(batch.partition, work)
        partition = self._partitions[batch.partition]
        decoded = decode_observations(
            [record.value() or b"" for record in batch], self._keys.sealer
        )
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

    def _make_keys(
        self, observations: Iterable[Observation | Poison], partition: _Partition
    ) -> None:
        by_workspace: defaultdict[str, list[Observation]] = defaultdict(list)
        for observation in observations:
            if isinstance(observation, Observation):
                by_workspace[observation.workspace].append(observation)
        for workspace, its in by_workspace.items():
            names = keys_ahead(partition.workspaces[workspace], its)
            self._keys.sealer(workspace).make(names)

    def _resolve(self, observation: Observation | Poison, partition: _Partition, work: Work) -> str:
        if isinstance(observation, Poison):
            raise RecordError(observation.code, observation.reason)
        if work.partition != partition_of(observation.workspace, self._partition_count):
            raise RecordError(
                Code.WORKSPACE_MISMATCH,
                f"Workspace {observation.workspace} does not belong to this partition.",
            )
        seen_key = f"{observation.workspace}/{observation.id}"
        if seen_key in partition.seen:
            return "duplicate"
        workspace = partition.workspaces[observation.workspace]
        sealer = self._keys.sealer(observation.workspace)
        made = self._made(workspace, observation)
        rules = observation.rule_set or workspace.rules
        conflicts = [
            (conflict, sealer.under(key_of(entity)))
            for entity in made
            for conflict in conflict_changes(entity, rules, partition.conflicts.of(entity.key))
        ]
        records = [
            (conflict.key.encode(), encode_conflict(conflict, seal), None)
            for conflict, seal in conflicts
        ]
        # all or none: what is too large refuses the observation before anything is changed
        work[ENTITIES.name].put_all(
            (entity.key.encode(), encode_entity(entity, sealer), entity_headers(entity, sealer))
            for entity in made
        )
        work[CONFLICTS.name].put_all(records)
        for entity in made:
            workspace.put(entity)
        for conflict, _seal in conflicts:
            partition.conflicts.put(conflict)
        if observation.rule_set is not None:
            key = rules_key(observation.workspace)
            work[RESOLVER_STATE.name].put(key, observation.rule_set.encode())
            workspace.rules = observation.rule_set
        self._mark_seen(seen_key, observation.received_at, partition, work)
        return "versions" if made else "unchanged"

    def _made(self, workspace: Workspace, observation: Observation) -> Sequence[Entity]:
        if observation.rule_set is None:
            return resolve(workspace, observation, workspace.rules)
        entities, cause = workspace.entities.values(), cause_of(observation)
        return list(refold(workspace, entities, observation.rule_set, cause))

    def _mark_seen(self, key: str, received_at: int, partition: _Partition, work: Work) -> None:
        state = work[RESOLVER_STATE.name]
        for old in partition.seen.expired(received_at):
            state.delete(old.encode())
        state.put(key.encode(), str(received_at).encode())
        partition.seen.add(key, received_at)

    def committed(self, partition: int) -> None:
        """Nothing to do: `handle` has changed what is derived."""

    def rolled_back(self, partition: int) -> None:
        """Drops what is derived; it is read again from the tables if the partition goes on."""
        self._partitions.pop(partition, None)

    def released(self, partition: int) -> None:
        """Drops what is derived."""
        self._partitions.pop(partition, None)


def _slices(items: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
