"""The runner of one sink: keeps the view of the truth, and has workers settle what is due."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import faust
import structlog

from calstream_core.clock import MICROSECONDS_PER_SECOND, now_microseconds
from calstream_core.errors import UnavailableError
from calstream_core.metrics import SINK_PENDING
from calstream_core.sealing import KeyStore
from calstream_core.settings import Settings
from calstream_engine import (
    Batch,
    EngineSettings,
    Mode,
    Schedule,
    Slot,
    create_app,
    positions,
    replay,
    state_table,
    state_writer,
    view,
)
from calstream_engine.state.store import PartitionStore
from calstream_schemas.codec import Poison
from calstream_schemas.entities import Entity, kind_of_key
from calstream_schemas.entities.avro import decode_entities
from calstream_schemas.ledger import LedgerState, decode_ledger_entry
from calstream_schemas.topics import ENTITIES, full_name, sink_ledger
from calstream_sinks.runner.delivery import Delivery
from calstream_sinks.runner.journal import LEDGER, Journal
from calstream_sinks.runner.learned import AnySink
from calstream_sinks.runner.resync import ResyncMode, ResyncProgress, Verifier
from calstream_sinks.runner.view import LocalView

_RETRY_SECONDS = 1
_SETTLED = frozenset({LedgerState.DONE, LedgerState.ERASED})
_AT_ONCE = 1000  # entities that are decoded together when a partition is restored
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a runner shares with others of its process."""

    settings: Settings
    bootstrap_servers: str
    slot: Slot
    keys: KeyStore
    now: Callable[[], int] = now_microseconds


class SinkRunner:
    """Runs one sink from `start` to `stop`. Its `app` runs beside it, in the same loop.

    The app has a view of `entities` and keeps the ledger as its table. It is the engine's `Viewer`:
    told of what is restored, what comes and what goes.
    """

    def __init__(self, sink_id: str, sink: AnySink, wiring: Wiring) -> None:
        kafka = wiring.settings.kafka
        self.sink_id = sink_id
        self._sink = sink
        self._configured = wiring.settings.sinks[sink_id]
        self._keys = wiring.keys
        self._now = wiring.now
        self._entities = full_name(ENTITIES, kafka)
        self.app = self._create_app(wiring)
        self._writer = state_writer(self.app)
        self._view = LocalView()
        self._schedule = Schedule(sink.manifest.kinds, kind_of_key, wiring.now)
        journal = Journal(sink_id, kafka, self._writer, wiring.keys, self._view)
        self._delivery = Delivery(
            sink_id,
            sink,
            view=self._view,
            schedule=self._schedule,
            journal=journal,
            keys=wiring.keys,
            now=wiring.now,
            suspect=self._check_suspects,
        )
        self._verifier = Verifier(sink_id, sink, self._view, journal, self._delivery)
        self._live: set[int] = set()
        self._resync: ResyncProgress | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # done only when the sink can't go on; raises why
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _create_app(self, wiring: Wiring) -> faust.App:
        kafka = wiring.settings.kafka
        app = create_app(
            EngineSettings(
                app=f"{kafka.topic_prefix}calstream-sink-{self.sink_id}",
                bootstrap_servers=wiring.bootstrap_servers,
                mode=Mode.TRANSACTIONAL,
                state_directory=wiring.slot.directory / self.sink_id,
                instance_id=wiring.slot.instance_id,
            )
        )
        state_table(app, LEDGER, full_name(sink_ledger(self.sink_id), kafka))
        view(app, ENTITIES.name, self._entities, self)
        return app

    async def start(self) -> None:
        """Opens the sink and begins to work; returns at once."""
        await self._sink.open()
        for _ in range(self._configured.concurrency):
            self._watch(self._work())

    async def stop(self) -> None:
        """Stops working. What was in flight is an unknown outcome that the next start settles."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sink.close()

    def fault(self) -> str | None:
        """What keeps the sink from working, if anything does."""
        return "failed; see the log" if self.failed.done() else None

    @property
    def pending(self) -> dict[str, int]:
        """How many keys are not settled, by state; `ready` counts those at work or due."""
        counts = {state.value: 0 for state in LedgerState if state not in _SETTLED}
        for _key, entry in self._view.ledger_entries():
            if entry.state not in _SETTLED:
                counts[entry.state.value] += 1
        return {**counts, "ready": self._schedule.busy}

    @property
    def positions(self) -> dict[int, int]:
        """The offset after the last record of `entities` that was read, by partition."""
        return positions(self.app, self._entities)

    @property
    def resync_progress(self) -> ResyncProgress | None:
        """The last resync, if there was one since the start."""
        return self._resync

    def resync(self, mode: ResyncMode) -> ResyncProgress:
        """Replays `entities` from its beginning and checks or writes every object again.

        Returns at once; one that runs already goes on and is returned.
        """
        if self._resync is None or not self._resync.running:
            self._resync = ResyncProgress(mode)
            self._watch(self._replay(self._resync))
            _log.info("resync started", sink=self.sink_id, mode=mode)
        return self._resync

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a task whose failure, a bug of ours, ends the process rather than be lost."""

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None and not self.failed.done():
                self.failed.set_exception(task.exception() or AssertionError)

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)

    async def _work(self) -> None:
        while True:
            keys = await self._schedule.take(self._sink.manifest.max_batch)
            try:
                await self._delivery.settle(keys)
            except UnavailableError as error:
                _log.warning("waiting", sink=self.sink_id, error=str(error))
                later = self._now() + _RETRY_SECONDS * MICROSECONDS_PER_SECOND
                for key in keys:
                    self._schedule.add(key, later)
            finally:
                for key in keys:
                    self._schedule.done(key)
                self._count()

    def _count(self) -> None:
        for state, count in self.pending.items():
            SINK_PENDING.labels(self.sink_id, state).set(count)

    # what the engine tells

    def restored(self, partition: int, store: PartitionStore) -> None:
        """Takes a partition's entities and ledger in, and looks at every key."""
        for key, value in self._writer.work(partition)[LEDGER].store.items():
            self._put_ledger(partition, key.decode(errors="replace"), value)
        self._put_store(partition, store)
        self._live.add(partition)
        for ours in self._view.keys({partition}, self._sink.manifest.kinds):
            self._schedule.add(ours)
        for ours in self._view.left_over(partition, self._sink.manifest.kinds):
            self._schedule.add(ours)  # it was forgotten while nobody looked

    def changed(self, partition: int, batch: Batch) -> None:
        """Takes new versions in, and looks at whom they affect."""
        records = [(record.key() or b"", record.value()) for record in batch]
        entities = self._decoded([(key, value) for key, value in records if value is not None])
        for entity in entities:
            if self._view.put_entity(partition, entity):
                key = entity.key
                for affected in {*self._sink.affected(entity), *self._view.waiting_for(key)}:
                    self._delivery.caused(affected, entity.cause)
                    self._schedule.add(affected)
        for raw_key, value in dict(records).items():
            if value is None and self._wanted(name := raw_key.decode(errors="replace")):
                self._forgotten(name)

    def _forgotten(self, key: str) -> None:
        """Takes a tombstone in, and looks at whom it affects."""
        affected = self._view.waiting_for(key)
        # a key that is known to neither need not even be one of an entity
        is_ours = self._view.entity(key) is not None or self._view.ledger(key) is not None
        self._view.drop_entity(key)
        if is_ours and kind_of_key(key) in self._sink.manifest.kinds:
            affected |= {key}
        for each in affected:
            self._schedule.add(each)

    def released(self, partition: int) -> None:
        """Forgets a partition that another worker owns now."""
        self._live.discard(partition)
        keys = set(self._view.keys({partition}, self._sink.manifest.kinds))
        self._schedule.discard(keys)
        for key in keys:
            self._delivery.forget(key)
        self._view.drop_partition(partition)

    def _put_store(self, partition: int, store: PartitionStore) -> None:
        """Takes all entities of a partition in."""
        rest = iter(store.items())
        while some := list(islice(rest, _AT_ONCE)):
            for entity in self._decoded(some):
                self._view.put_entity(partition, entity)

    def _decoded(self, records: Iterable[tuple[bytes, bytes]]) -> Iterator[Entity]:
        """The entities of these keys and values that are wanted and readable."""
        wanted = [
            (name, value)
            for key, value in records
            if self._wanted(name := key.decode(errors="replace"))
        ]
        found = decode_entities([value for _name, value in wanted], self._keys.sealer)
        for (name, _value), entity in zip(wanted, found, strict=True):
            if isinstance(entity, Poison):
                _log.error("unreadable entity", sink=self.sink_id, key=name, reason=entity.reason)
            elif entity.key == name:
                yield entity

    def _put_ledger(self, partition: int, key: str, value: bytes) -> None:
        entry = decode_ledger_entry(value)
        if isinstance(entry, Poison):
            _log.error("unreadable ledger entry", sink=self.sink_id, key=key)
        elif self._wanted(key):
            self._view.put_ledger(partition, key, entry)

    def _wanted(self, key: str) -> bool:
        workspaces = self._configured.workspaces
        return not workspaces or key.split("/", 1)[0] in workspaces

    async def _replay(self, progress: ResyncProgress) -> None:
        """Reads the log of the partitions that are ours anew, then checks every entity."""
        for partition in sorted(self._live):
            store, records = await replay(self.app, ENTITIES.name, partition)
            if partition in self._live:  # not taken away meanwhile
                self._put_store(partition, store)
                progress.replayed += records
        await self._recheck(progress)

    async def _recheck(self, progress: ResyncProgress) -> None:
        """After the replay: checks every entity in batches, then lets the workers mend."""
        size = self._sink.manifest.max_batch
        for kind in self._sink.manifest.kinds:
            keys = list(self._view.keys(self._live, {kind}))
            progress.total += len(keys)
            for start in range(0, len(keys), size):
                await self._check(keys[start : start + size], progress)
        progress.running = False
        _log.info("resync checked", sink=self.sink_id, checked=progress.checked)

    def _check_suspects(self, keys: frozenset[str]) -> None:
        """Looks whether objects are still there that a write needed and did not find."""
        written = sorted(key for key in keys if self._view.external_id(key) is not None)
        for kind in self._sink.manifest.kinds:
            batch = [key for key in written if key.split("/", 2)[1] == kind]
            if batch:
                self._watch(self._check(batch, ResyncProgress(ResyncMode.VERIFY)))

    async def _check(self, batch: list[str], progress: ResyncProgress) -> None:
        """Checks entities of one kind, while no worker touches them."""
        await self._schedule.claim(batch)
        try:
            await self._persist_check(batch, progress)
        finally:
            for key in batch:
                self._schedule.done(key)
                self._schedule.add(key)

    async def _persist_check(self, batch: list[str], progress: ResyncProgress) -> None:
        while True:
            try:
                await self._verifier.check(batch, progress.mode, progress, self._now())
            except UnavailableError as error:
                _log.warning("waiting", sink=self.sink_id, error=str(error))
                await asyncio.sleep(error.retry_after_seconds or _RETRY_SECONDS)
            else:
                return
