"""The stage that turns observations into entities: the only writer of the truth.

Transactional: new versions, the observations that count as seen, dead letters and the position in
`observations` are one transaction, so a crash leaves all of a batch or nothing.
"""

import gc
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

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
from calstream_core.sealing import KeyStore, Sealer
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
from calstream_processors.resolve.conflicts import conflict_changes
from calstream_processors.resolve.consequences import MOST_STEPS, Change, follow
from calstream_processors.resolve.keys_ahead import keys_ahead
from calstream_processors.resolve.matching import match_rules
from calstream_processors.resolve.partition import Partition
from calstream_processors.resolve.questions import questions
from calstream_processors.resolve.refold import refold
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_processors.resolve.versions import cause_of
from calstream_schemas.codec import Poison
from calstream_schemas.conflicts import encode_conflict
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import encode_entity, entity_headers, key_of
from calstream_schemas.observations import Observation
from calstream_schemas.resolver_state import rules_key
from calstream_schemas.reviews import encode_review
from calstream_schemas.topics import (
    CONFLICTS,
    ENTITIES,
    MATCH_REVIEWS,
    OBSERVATIONS,
    PROCESSORS_DEAD,
    RESOLVER_STATE,
    full_name,
)

STAGE = "resolve"
_HELD_ENTITIES = 20_000
"""Decoded entities that are held of each workspace; others are read when they are asked for."""

_log = structlog.get_logger()


def resolve_app(
    settings: Settings,
    bootstrap_servers: str,
    keys: KeyStore,
    slot: Slot,
    handover: Handover | None = None,
) -> faust.App:
    """The app that reads `observations`; `entities` and `resolver.state` are its tables' logs.

    Args:
        settings: the installation's.
        bootstrap_servers: the broker.
        keys: the key store.
        slot: this worker's.
        handover: has what a normaliser in the same process wrote.
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
    state_table(app, RESOLVER_STATE.name, full_name(RESOLVER_STATE, settings.kafka))
    source = full_name(OBSERVATIONS, settings.kafka)
    batch_agent(app, source, name=STAGE)(ResolveStage(settings, keys, handover))
    return app


class ResolveStage:
    """Resolves batches of observations. Fulfils the engine's `Handler`."""

    def __init__(
        self, settings: Settings, keys: KeyStore, handover: Handover | None = None
    ) -> None:
        self._partition_count = settings.kafka.partitions
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
        if work.partition != partition_of(observation.workspace, self._partition_count):
            raise RecordError(
                Code.WORKSPACE_MISMATCH,
                f"Workspace {observation.workspace} does not belong to this partition.",
            )
        seen_key = f"{observation.workspace}/{observation.id}"
        if seen_key in partition.seen:
            return "duplicate"
        workspace = partition.workspace(observation.workspace)
        changes = self._apply(observation, partition, workspace, work)
        self._follow(changes, partition, workspace, work)
        workspace.trim(_HELD_ENTITIES)
        self._mark_seen(seen_key, observation.received_at, partition, work)
        return "versions" if changes else "unchanged"

    def _follow(
        self, changes: Sequence[Change], partition: Partition, workspace: Workspace, work: Work
    ) -> None:
        """Resolves what follows from changes, and what follows from that, until nothing does.

        What follows is never a reason to refuse what it follows from.
        """
        drawn = deque(follow(workspace, changes, workspace.rules))
        steps = 0
        while drawn:
            observation = drawn.popleft()
            steps += 1
            if steps > MOST_STEPS:
                raise InvariantError(
                    Code.INVARIANT_BROKEN, f"Rules go in circles at {observation.natural_id}."
                )
            try:
                made = self._apply(observation, partition, workspace, work)
            except RecordError as error:
                work.count("rule_refused")
                _log.error("a rule is refused", about=str(observation.natural_id), code=error.code)
            else:
                drawn.extend(follow(workspace, made, workspace.rules))

    def _apply(
        self, observation: Observation, partition: Partition, workspace: Workspace, work: Work
    ) -> list[Change]:
        """Resolves one observation into the work and the state."""
        sealer = self._keys.sealer(observation.workspace)
        made = self._made(partition, workspace, observation)
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
        changes = [Change(workspace.put(entity), entity, observation) for entity in made]
        for conflict, _seal in conflicts:
            partition.conflicts.put(conflict)
        if observation.rule_set is not None:
            key = rules_key(observation.workspace)
            work[RESOLVER_STATE.name].put(key, observation.rule_set.encode())
            workspace.rules = observation.rule_set
        _ask(workspace, made, work, sealer)
        return changes

    def _made(
        self, partition: Partition, workspace: Workspace, observation: Observation
    ) -> Sequence[Entity]:
        if observation.rule_set is None:
            return resolve(workspace, observation, workspace.rules)
        entities = partition.entities(observation.workspace)
        made = list(refold(workspace, entities, observation.rule_set, cause_of(observation)))
        for entity in made:
            workspace.get(entity.key)  # the indexes must know what goes
        return made

    def _mark_seen(self, key: str, received_at: int, partition: Partition, work: Work) -> None:
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


def _ask(workspace: Workspace, made: Iterable[Entity], work: Work, sealer: Sealer) -> None:
    """Opens and closes the reviews that new versions of contacts give reason to."""
    changes = questions(workspace.index, workspace.reviews, made, match_rules(workspace.rules))
    table = work[MATCH_REVIEWS.name]
    for review in changes.closed:
        table.delete(review.key.encode())
        workspace.reviews.drop(review)
    for review in changes.opened:
        table.put(review.key.encode(), encode_review(review, sealer))
        workspace.reviews.put(review)
