"""Takes keys from the schedule and makes the vendor's objects agree with the truth."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_core.errors import CalstreamError, Code, ConfigError, UnavailableError
from calstream_core.metrics import SINK_DELIVERIES, SINK_RETRIES, SYNC_DELAY_SECONDS
from calstream_core.sealing import KeyStore
from calstream_engine.schedule import Schedule
from calstream_schemas.entities import Cause, Entity
from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_schemas.observations import Observation
from calstream_sinks.api import (
    Applied,
    Change,
    Deferred,
    Found,
    Held,
    Missing,
    Outcome,
    Projection,
    Refused,
    Waiting,
)
from calstream_sinks.runner.decision import (
    Nothing,
    decide,
    operation_id,
    own_words,
    projection_hash,
)
from calstream_sinks.runner.erasing import Erasing
from calstream_sinks.runner.job import Job
from calstream_sinks.runner.journal import Burial, Journal
from calstream_sinks.runner.last_written import LastWritten
from calstream_sinks.runner.learned import AnySink, Learned, copy_at
from calstream_sinks.runner.retry import HORIZON_SECONDS, backoff_seconds
from calstream_sinks.runner.survivors import first_to_write, ledger_of, other_holder
from calstream_sinks.runner.view import AskedView, LocalView

_log = structlog.get_logger()


class Delivery:
    """Settles keys for one sink. Several may be settled at once, never the same one twice."""

    def __init__(
        self,
        sink_id: str,
        sink: AnySink,
        *,
        view: LocalView,
        schedule: Schedule,
        journal: Journal,
        keys: KeyStore,
        now: Callable[[], int],
        suspect: Callable[[frozenset[str]], None],
    ) -> None:
        self._sink_id = sink_id
        self._sink = sink
        self._view = view
        self._schedule = schedule
        self._journal = journal
        self._keys = keys
        self._now = now
        # told of entities whose objects a write needed and the vendor did not have
        self._suspect = suspect
        self._learned = Learned(sink_id, sink)
        self._erasing = Erasing(
            sink_id, sink, view=view, schedule=schedule, journal=journal, now=now
        )
        self._jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._written = LastWritten(sink)
        # the first cause that is not settled yet, so that waiting counts as delay
        self._unsettled: dict[str, Cause] = {}
        # what a resync asked for: its delay says nothing of live traffic
        self._replayed: set[str] = set()
        # microseconds; until then the vendor asked us, whatever the key, to leave it in peace
        self._peace_until = 0

    def forget(self, key: str) -> None:
        """Drops what is remembered of a key: it belongs to another worker, or was rewritten."""
        self._written.forget(key)
        self._unsettled.pop(key, None)
        self._replayed.discard(key)

    def caused(self, key: str, cause: Cause) -> None:
        """Takes note of why a key is looked at, so that waiting counts as delay."""
        self._unsettled.setdefault(key, cause)

    def mark_replayed(self, key: str) -> None:
        """Counts the next write of a key as part of a resync."""
        self._replayed.add(key)

    async def settle(self, keys: Sequence[str]) -> None:
        """Does what these keys need now. All are of one kind.

        Raises:
            UnavailableError: the broker does not confirm; doing it again is safe.
        """
        erasing = [key for key in keys if self._erasing.concerns(key)]
        for key in erasing:
            self.forget(key)
        await self._erasing.settle(erasing)
        for key in erasing:
            self._wake(key)
        jobs = []
        for key in keys:
            if key in erasing:
                continue
            try:
                job = await self._prepare(key)
            except CalstreamError:
                raise
            except Exception as error:  # noqa: BLE001 - a bug of the sink, but this entity's alone
                _log.exception("sink failed", sink=self._sink_id, key=key)
                await self._give_up(key, error)
                continue
            if job is not None:
                jobs.append(job)
        if jobs:
            await self._deliver(jobs)

    async def _give_up(self, key: str, error: Exception) -> None:
        """Buries a version over which the sink's own code stumbles, once."""
        entity, ledger = self._view.entity(key), self._view.ledger(key)
        if entity is None:
            return
        if ledger is not None and ledger.state is LedgerState.INTENT:
            return  # what became of the call must be asked when the sink works again
        if (
            ledger is not None
            and ledger.state is LedgerState.DEAD
            and ledger.entity_version >= entity.version
        ):
            return
        await self._die(entity, ledger, Code.RECORD_FAILED, type(error).__name__, "")

    async def _prepare(self, key: str) -> Job | None:
        entity = self._view.entity(key)
        if entity is None:
            await self._forget_entity(key)
            return None
        if entity.erased_at is not None and entity.kind == "contact":
            return None
        if entity.merge is not None:
            await self._leave_to_survivor(entity)
            return None
        owner = first_to_write(entity, self._view, self._sink_id)
        if owner is not None:
            await self._wait(entity, self._view.ledger(key), owner)
            return None
        view = AskedView(self._view)
        wanted = self._sink.project(entity, view)
        if isinstance(wanted, Waiting):
            await self._wait(entity, self._view.ledger(key), wanted.key)
        elif not isinstance(wanted, Projection):
            self._unsettled.pop(key, None)
        if not isinstance(wanted, Projection):
            return None
        ledger = ledger_of(entity, self._view, self._sink_id)
        known = self._view.ledger(key)
        if known is not None and (ledger is None or ledger.external_id != known.external_id):
            self._written.forget(key)  # what was written last was written to another object
        return self._job(entity, wanted, ledger, frozenset(view.asked - {key}))

    async def _forget_entity(self, key: str) -> None:
        """Removes the ledger entry of an entity that is no more."""
        self.forget(key)
        if self._view.ledger(key) is not None:
            await self._journal.commit(entries={key: None})

    async def _leave_to_survivor(self, entity: Entity) -> None:
        """Writes nothing for an entity that is another one: that one is written."""
        ledger = self._view.ledger(entity.key)
        self.forget(entity.key)
        settled = ledger is None or ledger.state is LedgerState.DONE
        if ledger is not None and not (settled and ledger.projection_hash is None):
            # its object may be the survivor's now, who writes it: what it holds is not known
            entry = self._entry(entity, ledger, LedgerState.DONE, projection_hash=None)
            await self._journal.commit(entries={entity.key: entry})
        self._wake(entity.key)

    def _job(
        self,
        entity: Entity,
        wanted: Projection,
        ledger: LedgerEntry | None,
        needs: frozenset[str],
    ) -> Job | None:
        key = entity.key
        external_id = ledger.external_id if ledger else None
        copy = copy_at(entity, self._sink_id, external_id)
        written = self._written.fields(key, entity.kind, copy)
        if external_id is not None and copy is None and written is None:
            # what was found there is on its way through the resolver; writing before it is
            # folded could overwrite what somebody entered at the vendor
            return None
        if ledger is not None and self._waits_for_itself(entity, ledger):
            return None
        hash_ = projection_hash(wanted, self._keys.sealer(entity.workspace))
        held = self._sink.held(entity.kind, copy) if copy else Held()
        operation = operation_id(self._sink_id, entity, hash_)
        decision = decide(
            wanted,
            hash_=hash_,
            operation=operation,
            ledger=ledger,
            held=held,
            written=written,
        )
        if isinstance(decision, Nothing):
            SINK_DELIVERIES.labels(self._sink_id, "unchanged").inc()
            self._unsettled.pop(key, None)
            return None
        self._unsettled.setdefault(key, entity.cause)
        not_before = max(decision.not_before, self._peace_until)
        if not_before > self._now():
            self._schedule.add(key, not_before)
            return None
        change = Change(
            entity=entity,
            projection=wanted,
            fields=decision.fields,
            operation_id=operation,
            external_id=external_id,
            outcome_unknown=decision.outcome_unknown,
        )
        own = own_words(wanted, held, written)
        return Job(change, hash_, ledger, needs, own)

    def _waits_for_itself(self, entity: Entity, ledger: LedgerEntry) -> bool:
        """Whether the version in which something learned is folded has not come yet."""
        waits = ledger.waiting_for == entity.key and ledger.entity_version >= entity.version
        if not waits or ledger.state is not LedgerState.WAITING or ledger.due_at is None:
            return False
        if ledger.due_at <= self._now():  # what was learned was no news to the resolver
            return False
        self._schedule.add(entity.key, ledger.due_at)
        return True

    async def _wait(self, entity: Entity, ledger: LedgerEntry | None, for_key: str) -> None:
        self._unsettled.setdefault(entity.key, entity.cause)
        needed = self._view.ledger(for_key)
        if needed is not None and needed.state is LedgerState.DEAD:
            if ledger is None or ledger.state is not LedgerState.DEAD:
                code = Code(needed.error_code) if needed.error_code else Code.VENDOR_REFUSED
                await self._die(
                    entity, ledger, code, f"{for_key} was given up", "", waiting_for=for_key
                )
            return
        if ledger is not None and ledger.waiting_for == for_key:
            return
        entry = self._entry(entity, ledger, LedgerState.WAITING, waiting_for=for_key)
        seen = needed, self._view.entity(for_key)
        await self._journal.commit(entries={entity.key: entry})
        if (self._view.ledger(for_key), self._view.entity(for_key)) != seen:
            self._schedule.add(entity.key)  # it moved meanwhile, when nobody was known to wait

    async def _deliver(self, jobs: Sequence[Job]) -> None:
        now = self._now()
        due_at = now + int(self._sink.settle_seconds * MICROSECONDS_PER_SECOND)
        await self._journal.commit(
            # once for all attempts: an announcement is a version of the entity
            observations=[
                self._learned.announced(job.change, now, job.own)
                for job in jobs
                if not job.attempts
            ],
            entries={
                job.change.entity.key: self._entry(
                    job.change.entity,
                    job.before,
                    LedgerState.INTENT,
                    operation_id=job.change.operation_id,
                    attempts=job.attempts + 1,
                    first_attempt_at=job.first_attempt_at or now,
                    due_at=due_at,
                )
                for job in jobs
            },
        )
        outcomes = await self._call([job.change for job in jobs])
        applied = [
            (job, outcome.snapshot)
            for job, outcome in zip(jobs, outcomes, strict=True)
            if isinstance(outcome, Applied)
        ]
        after = self._now()
        entries = {}
        for job, snapshot in applied:
            key = job.change.entity.key
            self._written.put(key, snapshot)
            entries[key] = self._done(job, snapshot.external_id, after)
        await self._journal.commit(
            observations=[
                self._learned.applied(job.change, snapshot, after, job.own)
                for job, snapshot in applied
            ],
            entries=entries,
        )
        for key in entries:
            self._wake(key)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if not isinstance(outcome, Applied):
                await self._not_applied(job, outcome)

    async def _call(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        started = time.perf_counter()
        try:
            outcomes = await self._sink.deliver(changes)
            if len(outcomes) == len(changes):
                return outcomes
            fault = f"{len(outcomes)} outcomes for {len(changes)} changes"
        except UnavailableError as error:
            # this call was not applied, but an earlier one may have been
            return [
                Deferred(
                    error.code,
                    error.message,
                    error.retry_after_seconds,
                    unknown=change.outcome_unknown,
                )
                for change in changes
            ]
        except ConfigError as error:
            _log.error("sink misconfigured", sink=self._sink_id, error=str(error))
            return [
                Deferred(error.code, error.message, unknown=change.outcome_unknown)
                for change in changes
            ]
        except Exception:  # noqa: BLE001 - whatever a sink raises, its outcome is unknown
            _log.exception("sink failed", sink=self._sink_id)
            fault = "an error of the sink"
        _log.warning("outcome unknown", sink=self._sink_id, seconds=time.perf_counter() - started)
        return [Deferred(Code.OUTCOME_UNKNOWN, fault, unknown=True)] * len(changes)

    def _done(self, job: Job, external_id: str, now: int) -> LedgerEntry:
        entity = job.change.entity
        cause = self._unsettled.pop(entity.key, entity.cause)
        SINK_DELIVERIES.labels(self._sink_id, "applied").inc()
        mode = "replay" if entity.key in self._replayed else "live"
        self._replayed.discard(entity.key)
        SYNC_DELAY_SECONDS.labels(self._sink_id, mode).observe(
            max(0, now - cause.occurred_at) / MICROSECONDS_PER_SECOND
        )
        return self._entry(
            entity,
            job.before,
            LedgerState.DONE,
            operation_id=job.change.operation_id,
            external_id=external_id,
            projection_hash=job.hash,
            attempts=job.attempts + 1,
            received_at=cause.received_at,
            confirmed_at=now,
        )

    async def _not_applied(self, job: Job, outcome: Outcome) -> None:
        entity = job.change.entity
        key = entity.key
        if isinstance(outcome, Found):
            id_ = outcome.snapshot.external_id
            if other := other_holder(entity, id_, self._view, self._sink_id):
                why, operation = f"the object is that of {other}", job.change.operation_id
                await self._die(entity, job.before, Code.OBJECT_TAKEN, why, operation)
                return
            SINK_DELIVERIES.labels(self._sink_id, "found").inc()
            found = self._learned.found(entity, outcome.snapshot, self._now())
            await self._hold(job, found, external_id=id_)
        elif isinstance(outcome, Missing):
            SINK_DELIVERIES.labels(self._sink_id, "missing").inc()
            assert job.change.external_id is not None
            self.forget(key)
            gone = self._learned.gone(entity, job.change.external_id, self._now())
            await self._hold(job, gone, external_id=None)
        elif isinstance(outcome, Refused):
            await self._die(
                entity,
                job.before,
                outcome.code,
                outcome.message,
                job.change.operation_id,
                field=outcome.field,
            )
        elif isinstance(outcome, Deferred):
            await self._defer(job, outcome)

    async def _hold(self, job: Job, learned: Observation, *, external_id: str | None) -> None:
        """Waits for the entity's own next version, in which what was learned is folded."""
        entity = job.change.entity
        entry = self._entry(entity, job.before, LedgerState.WAITING, waiting_for=entity.key)
        entry = replace(entry, external_id=external_id, projection_hash=None)
        await self._journal.commit(observations=[learned], entries={entity.key: entry})
        newest = self._view.entity(entity.key)
        if newest is not None and newest.version > entity.version:
            self._schedule.add(entity.key)

    async def _defer(self, job: Job, outcome: Deferred) -> None:
        entity, now = job.change.entity, self._now()
        self._written.doubt(entity.key, job.change.fields.keys())
        first = job.first_attempt_at or now
        attempts = job.attempts + 1
        SINK_RETRIES.labels(self._sink_id, outcome.code).inc()
        if outcome.code is Code.RATE_LIMITED and outcome.retry_after_seconds is not None:
            asked = int(outcome.retry_after_seconds * MICROSECONDS_PER_SECOND)
            self._peace_until = max(self._peace_until, now + asked)
        if now - first > HORIZON_SECONDS * MICROSECONDS_PER_SECOND:
            message = f"tried for {HORIZON_SECONDS // 3600} h; last: {outcome.message}"
            await self._die(
                entity, job.before, Code.RETRIES_EXHAUSTED, message, job.change.operation_id
            )
            return
        wait = backoff_seconds(attempts, outcome.retry_after_seconds, self._jitter)
        if outcome.unknown:
            wait = max(wait, self._sink.settle_seconds)
        due_at = now + int(wait * MICROSECONDS_PER_SECOND)
        entry = self._entry(
            entity,
            job.before,
            LedgerState.INTENT if outcome.unknown else LedgerState.RETRY,
            operation_id=job.change.operation_id,
            attempts=attempts,
            first_attempt_at=first,
            due_at=due_at,
            error_code=outcome.code,
            error_message=outcome.message,
        )
        await self._journal.commit(entries={entity.key: entry})
        self._schedule.add(entity.key, due_at)
        if outcome.code is Code.ENTITY_NOT_FOUND:
            self._suspect(job.needs)

    async def _die(
        self,
        entity: Entity,
        before: LedgerEntry | None,
        code: Code,
        message: str,
        operation: str,
        *,
        field: str = "",
        waiting_for: str | None = None,
    ) -> None:
        SINK_DELIVERIES.labels(self._sink_id, "dead").inc()
        _log.warning("dead letter", sink=self._sink_id, key=entity.key, code=code, field=field)
        entry = self._entry(
            entity,
            before,
            LedgerState.DEAD,
            operation_id=operation,
            error_code=code,
            error_message=message,
            error_field=field,
            waiting_for=waiting_for,
        )
        await self._journal.commit(
            entries={entity.key: entry}, buried=[Burial(entity, code, message, field)]
        )
        self._unsettled.pop(entity.key, None)
        self._wake(entity.key)

    def _wake(self, key: str) -> None:
        """Looks again at what waited for a key: it has an id now, or never will."""
        for waiting in self._view.waiting_for(key):
            if waiting != key:
                self._schedule.add(waiting)

    def _entry(
        self, entity: Entity, before: LedgerEntry | None, state: LedgerState, **changes: object
    ) -> LedgerEntry:
        """The next entry of a key: what the last success left stays known."""
        base = LedgerEntry(
            state=state,
            entity_version=entity.version,
            operation_id=before.operation_id if before else "",
            updated_at=self._now(),
            external_id=before.external_id if before else None,
            projection_hash=before.projection_hash if before else None,
            received_at=before.received_at if before else None,
            confirmed_at=before.confirmed_at if before else None,
        )
        return replace(base, **changes)  # type: ignore[arg-type]  # names are checked at run time
