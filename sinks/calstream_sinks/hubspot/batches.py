"""Batch writes with an answer for every row, whatever the reply looks like.

HubSpot says in one of three ways that a row is bad: in the reply's `errors` with the row's trace
id, there with the row's id only, or by refusing the whole call. The last is met by sending the
call again in halves until the bad row stands alone; nothing was written by the refused call, so
this repeats no write.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calstream_sinks.hubspot.client import HubSpotClient, errors_of, results_of
from calstream_sinks.hubspot.errors import MISSING_PROPERTY, Failure, Trouble, failure_of_row

RowResult = dict[str, Any] | Failure

_REFUSALS = frozenset({Trouble.REFUSED, Trouble.TAKEN, Trouble.GONE})
_NO_ANSWER = Failure(Trouble.UNKNOWN, "HubSpot's answer does not tell what became of a row.")


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One entry of a batch's `inputs`.

    Attributes:
        trace_id: unique in the batch; HubSpot hands it back as `objectWriteTraceId`.
        body: the entry without it.
        id_property: the property by which a result is recognised, else by its id.
    """

    trace_id: str
    body: Mapping[str, Any]
    id_property: str | None = None

    @property
    def identity(self) -> str:
        """The value by which the row's object is recognised without a trace id."""
        if "id" in self.body:
            return str(self.body["id"])
        return str(self.body["properties"].get(self.id_property))

    def is_answered_by(self, result: Mapping[str, Any]) -> bool:
        """Whether a result is the row's, where it carries no trace id."""
        if self.id_property is None:
            return str(result.get("id")) == self.identity
        return (result.get("properties") or {}).get(self.id_property) == self.identity


@dataclass(slots=True)
class _Sorted:
    """A reply's results and errors by the trace id of their row."""

    by_row: dict[str, RowResult] = field(default_factory=dict)
    stray_results: list[dict[str, Any]] = field(default_factory=list)
    stray_errors: list[Failure] = field(default_factory=list)


class BatchWriter:
    """Writes rows by one batch endpoint.

    Args:
        client: the account.
        path: the endpoint's.
        repeatable: whether sending a row twice leaves HubSpot as once.
    """

    def __init__(self, client: HubSpotClient, path: str, *, repeatable: bool) -> None:
        self._client = client
        self._path = path
        self._repeatable = repeatable

    async def write(self, rows: Sequence[BatchRow]) -> dict[str, RowResult]:
        """The object or the failure of every row, by trace id."""
        if not rows:
            return {}
        inputs = [{**row.body, "objectWriteTraceId": row.trace_id} for row in rows]
        answer = await self._client.write(self._path, {"inputs": inputs})
        if isinstance(answer, Failure):
            return await self._after_failure(rows, answer)
        return await self._after_answer(rows, answer)

    async def _after_failure(
        self, rows: Sequence[BatchRow], failure: Failure
    ) -> dict[str, RowResult]:
        if failure.trouble not in _REFUSALS or len(rows) == 1:
            return {row.trace_id: failure for row in rows}
        guilty = [row for row in rows if _is_blamed(row, failure)]
        if not guilty:
            return await self._write_parts(_halves(rows))
        refused: dict[str, RowResult] = {row.trace_id: failure for row in guilty}
        rest = [row for row in rows if row.trace_id not in refused]
        return refused | await self.write(rest)

    async def _after_answer(
        self, rows: Sequence[BatchRow], answer: Mapping[str, Any]
    ) -> dict[str, RowResult]:
        found = _sort(rows, answer)
        left = [row for row in rows if row.trace_id not in found.by_row]
        if not left:
            return found.by_row
        if len(left) == 1 and len(found.stray_results) + len(found.stray_errors) == 1:
            stray: list[RowResult] = [*found.stray_results, *found.stray_errors]
            return {**found.by_row, left[0].trace_id: stray[0]}
        refused = bool(found.stray_errors) and not found.stray_results
        if len(rows) > 1 and (refused or self._repeatable):
            parts = _halves(left) if len(left) == len(rows) else [left]
            return found.by_row | await self._write_parts(parts)
        return found.by_row | {row.trace_id: _NO_ANSWER for row in left}

    async def _write_parts(self, parts: Iterable[Sequence[BatchRow]]) -> dict[str, RowResult]:
        results: dict[str, RowResult] = {}
        for part in parts:
            stop = first_stop(results.values())
            if stop is None:
                results |= await self.write(part)
            else:
                results |= {row.trace_id: stop.unsent() for row in part}
        return results


def first_stop(results: Iterable[RowResult]) -> Failure | None:
    """The first failure after which it is no use to send more, if there is one."""
    return next((item for item in results if isinstance(item, Failure) and item.stops), None)


def _halves(rows: Sequence[BatchRow]) -> list[Sequence[BatchRow]]:
    middle = (len(rows) + 1) // 2
    return [part for part in (rows[:middle], rows[middle:]) if part]


def _is_blamed(row: BatchRow, failure: Failure) -> bool:
    if row.trace_id in failure.blamed or row.identity in failure.blamed:
        return True
    # A property that is not there spoils every row that has it; no use to look for them one by one.
    missing = MISSING_PROPERTY in failure.codes
    return missing and any(name in row.body["properties"] for name in failure.fields)


def _sort(rows: Sequence[BatchRow], answer: Mapping[str, Any]) -> _Sorted:
    found = _Sorted()
    by_trace_id = {row.trace_id: row for row in rows}
    for result in results_of(answer):
        trace_id = result.get("objectWriteTraceId")
        owner = by_trace_id.get(trace_id) if isinstance(trace_id, str) else None
        owner = owner or next((row for row in rows if row.is_answered_by(result)), None)
        if owner is None or "id" not in result:
            found.stray_results.append(result)
        else:
            found.by_row[owner.trace_id] = result
    for error in errors_of(answer):
        failure = failure_of_row(error)
        owners = [r for r in rows if r.trace_id in failure.blamed or r.identity in failure.blamed]
        found.by_row |= {row.trace_id: failure for row in owners}
        if not owners:
            found.stray_errors.append(failure)
    return found
