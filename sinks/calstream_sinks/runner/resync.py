"""Makes a vendor agree again with the truth, by replaying the compacted topic."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import structlog

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_schemas.entities import Entity
from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_sinks.api import Projection, Snapshot
from calstream_sinks.runner.delivery import Delivery
from calstream_sinks.runner.journal import Journal
from calstream_sinks.runner.learned import AnySink, Learned
from calstream_sinks.runner.view import LocalView

# after which what was learned is taken to be no news
_FOLD_SECONDS = 300
_log = structlog.get_logger()


class ResyncMode(StrEnum):
    """What a resync believes."""

    TRUST_LEDGER = "trust-ledger"  # what the ledger says the vendor holds
    VERIFY = "verify"  # only what the vendor itself says now
    REWRITE = "rewrite"  # nothing: everything is written again


@dataclass
class ResyncProgress:
    """How far a resync is. `replayed` counts records read, the others count entities."""

    mode: ResyncMode
    running: bool = True
    replayed: int = 0
    total: int = 0
    checked: int = 0
    same: int = 0
    missing: int = 0
    different: int = 0


class Verifier:
    """Compares what the vendor holds with what it should hold, a batch at a time."""

    def __init__(
        self, sink_id: str, sink: AnySink, view: LocalView, journal: Journal, delivery: Delivery
    ) -> None:
        self._sink = sink
        self._view = view
        self._journal = journal
        self._delivery = delivery
        self._learned = Learned(sink_id, sink)

    async def check(
        self, keys: Sequence[str], mode: ResyncMode, progress: ResyncProgress, now: int
    ) -> None:
        """Looks at entities of one kind and corrects their ledger entries.

        What differs is told to the resolver or the ledger; the ordinary delivery mends it.

        Raises:
            UnavailableError: the vendor or the broker does not answer.
        """
        held = {
            key: entry
            for key in keys
            if (entry := self._view.ledger(key)) is not None
            and entry.external_id is not None
            and not self._was_merged(key)  # its survivor is looked at
        }
        if mode is ResyncMode.VERIFY and held:
            kind = next(iter(held)).split("/", 2)[1]
            ids = [entry.external_id or "" for entry in held.values()]
            found = await self._sink.lookup(kind, ids)
            for key, entry in held.items():
                snapshot = found.get(entry.external_id or "")
                await self._compare(key, entry, snapshot, progress, now)
        elif mode is ResyncMode.REWRITE:
            for key, entry in held.items():
                await self._distrust(key, entry, now)
        progress.checked += len(keys)

    async def _compare(
        self,
        key: str,
        entry: LedgerEntry,
        snapshot: Snapshot | None,
        progress: ResyncProgress,
        now: int,
    ) -> None:
        entity = self._view.entity(key)
        if entity is None or entry.external_id is None:
            return
        if snapshot is None:
            progress.missing += 1
            _log.info("missing at the vendor", key=key)
            self._forget(key)
            await self._journal.commit(
                observations=[self._learned.gone(entity, entry.external_id, now)],
                entries={key: _until_folded(entity, entry, now, None)},
            )
            return
        wanted = self._sink.project(entity, self._view)
        if not isinstance(wanted, Projection):
            return
        if not _differs(wanted, snapshot):
            progress.same += 1
            return
        progress.different += 1
        _log.info("different at the vendor", key=key)
        told = self._learned.found(entity, snapshot, now)
        if told.statements:  # first the resolver says whose word counts
            self._forget(key)
            entry = _until_folded(entity, entry, now, entry.external_id)
            await self._journal.commit(observations=[told], entries={key: entry})
        else:
            await self._distrust(key, entry, now)

    def _was_merged(self, key: str) -> bool:
        entity = self._view.entity(key)
        return entity is not None and entity.merge is not None

    def _forget(self, key: str) -> None:
        self._delivery.forget(key)
        self._delivery.mark_replayed(key)

    async def _distrust(self, key: str, entry: LedgerEntry, now: int) -> None:
        """Forgets what the vendor is thought to hold, so that everything is written again."""
        self._forget(key)
        again = replace(
            entry, state=LedgerState.RETRY, updated_at=now, due_at=now, projection_hash=None
        )
        await self._journal.commit(entries={key: again})


def _differs(wanted: Projection, snapshot: Snapshot) -> bool:
    return any(snapshot.fields.get(name) != value for name, value in wanted.fields.items())


def _until_folded(
    entity: Entity, entry: LedgerEntry, now: int, external_id: str | None
) -> LedgerEntry:
    """Waits for the entity's next version, in which what was learned just now is folded."""
    return LedgerEntry(
        state=LedgerState.WAITING,
        entity_version=entity.version,
        operation_id=entry.operation_id,
        updated_at=now,
        external_id=external_id,
        due_at=now + _FOLD_SECONDS * MICROSECONDS_PER_SECOND,
        waiting_for=entity.key,
        received_at=entry.received_at,
        confirmed_at=entry.confirmed_at,
    )
