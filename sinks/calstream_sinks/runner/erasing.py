"""Has the vendor erase what is marked, and hands the receipt to the resolver."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.metrics import SINK_DELIVERIES, SINK_RETRIES
from calstream_engine.schedule import Schedule
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.erasure_facts import Receipt
from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_schemas.observations import Fact, Observation, observation_id
from calstream_sinks.api import Deferred, Erased, ErasureOutcome, Going
from calstream_sinks.runner.journal import Journal
from calstream_sinks.runner.learned import AnySink
from calstream_sinks.runner.retry import backoff_seconds
from calstream_sinks.runner.view import LocalView

_OPERATION = "erase/"
_log = structlog.get_logger()


class Erasing:
    """Settles the entities of one sink that are to be erased.

    It goes on until the vendor has answered, also when the deadline has passed and the keys are
    destroyed: what it needs are the vendor's ids.
    """

    def __init__(
        self,
        sink_id: str,
        sink: AnySink,
        *,
        view: LocalView,
        schedule: Schedule,
        journal: Journal,
        now: Callable[[], int],
    ) -> None:
        self._sink_id = sink_id
        self._sink = sink
        self._view = view
        self._schedule = schedule
        self._journal = journal
        self._now = now
        self._jitter = random.Random()  # noqa: S311 - spreads load, guards nothing

    def concerns(self, key: str) -> bool:
        """Whether an entity is one that is erased, and the vendor has not answered yet."""
        entity, ledger = self._view.entity(key), self._view.ledger(key)
        if entity is None or (entity.erasing_since is None and entity.erased_at is None):
            return False
        if entity.erasing_since is not None:
            return True
        assert entity.erased_at is not None
        if ledger is None or ledger.state is LedgerState.ERASED:
            return False
        return ledger.operation_id.startswith(_OPERATION) or ledger.updated_at <= entity.erased_at

    async def settle(self, keys: Sequence[str]) -> None:
        """Erases what these keys have at the vendor. All are of one kind.

        Raises:
            UnavailableError: the broker does not confirm; doing it again is safe.
        """
        going = [one for key in keys if (one := self._going(key)) is not None]
        if not going:
            return
        outcomes = await self._call(going)
        for one, outcome in zip(going, outcomes, strict=True):
            if isinstance(outcome, Deferred):
                await self._again(one.entity, outcome)
            else:
                await self._answered(one.entity, outcome)

    def _going(self, key: str) -> Going | None:
        entity, ledger = self._view.entity(key), self._view.ledger(key)
        assert entity is not None
        if ledger is not None and ledger.state is LedgerState.ERASED:
            return None
        parked = ledger is not None and ledger.state in {LedgerState.INTENT, LedgerState.RETRY}
        if ledger is not None and parked and (ledger.due_at or 0) > self._now():
            # a call may still be under way, or the vendor asked to wait
            self._schedule.add(key, ledger.due_at or 0)
            return None
        ids = {
            id_.object_id
            for id_ in entity.copies
            if id_.system == self._sink_id and not id_.object_id.startswith("~")
        }
        if ledger is not None and ledger.external_id is not None:
            ids.add(ledger.external_id)
        return Going(entity, tuple(sorted(ids)))

    async def _call(self, going: Sequence[Going]) -> Sequence[ErasureOutcome]:
        try:
            outcomes = await self._sink.erase(going[0].entity.kind, going)
            if len(outcomes) == len(going):
                return outcomes
            fault = Deferred(Code.OUTCOME_UNKNOWN, f"{len(outcomes)} outcomes for {len(going)}")
        except UnavailableError as error:
            fault = Deferred(error.code, error.message, error.retry_after_seconds)
        except ConfigError as error:
            _log.error("sink misconfigured", sink=self._sink_id, error=str(error))
            fault = Deferred(error.code, error.message)
        except Exception:  # noqa: BLE001 - whatever a sink raises, it is done again
            _log.exception("sink failed", sink=self._sink_id)
            fault = Deferred(Code.OUTCOME_UNKNOWN, "an error of the sink")
        return [fault] * len(going)

    async def _again(self, entity: Entity, outcome: Deferred) -> None:
        before = self._view.ledger(entity.key)
        ours = before is not None and before.operation_id == _operation(entity)
        attempts = before.attempts + 1 if before is not None and ours else 1
        SINK_RETRIES.labels(self._sink_id, outcome.code).inc()
        _log.warning("not erased yet", sink=self._sink_id, key=entity.key, code=outcome.code)
        wait = backoff_seconds(attempts, outcome.retry_after_seconds, self._jitter)
        due_at = self._now() + int(wait * MICROSECONDS_PER_SECOND)
        entry = replace(
            self._entry(entity, LedgerState.RETRY),
            external_id=before.external_id if before is not None else None,
            attempts=attempts,
            due_at=due_at,
            error_code=outcome.code,
            error_message=outcome.message,
        )
        await self._journal.commit(entries={entity.key: entry})
        self._schedule.add(entity.key, due_at)

    async def _answered(self, entity: Entity, outcome: Erased) -> None:
        SINK_DELIVERIES.labels(self._sink_id, "erased").inc()
        _log.info("erased", sink=self._sink_id, key=entity.key, done=outcome.done)
        await self._journal.commit(
            observations=[self._receipt(entity, outcome)],
            entries={entity.key: self._entry(entity, LedgerState.ERASED)},
        )

    def _receipt(self, entity: Entity, outcome: Erased) -> Observation:
        now = self._now()
        natural_id = NaturalId(self._sink_id, entity.kind, entity.id)
        return Observation(
            id=observation_id(self._sink_id, _operation(entity), Fact.ERASED, natural_id),
            workspace=entity.workspace,
            fact=Fact.ERASED,
            kind=entity.kind,
            natural_id=natural_id,
            role=self._sink.manifest.role,
            received_at=now,
            occurred_at=now,
            about=entity.id,
            erasure=Receipt(
                self._sink_id, f"{entity.kind}/{entity.id}", outcome.done, now, outcome.detail
            ),
        )

    def _entry(self, entity: Entity, state: LedgerState) -> LedgerEntry:
        """An entry with nothing of what the vendor held."""
        return LedgerEntry(
            state=state,
            entity_version=entity.version,
            operation_id=_operation(entity),
            updated_at=self._now(),
        )


def _operation(entity: Entity) -> str:
    return f"{_OPERATION}{entity.erasing_since or entity.erased_at}"
