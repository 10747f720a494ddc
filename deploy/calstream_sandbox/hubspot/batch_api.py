"""The batch endpoints of objects.

What fails a whole call and what only its row follows the live API: a repeated id fails the call; a
record that does not exist and, in an update or upsert, a unique value that another record has fail
the row; anything else fails the call too, unless every row carries an `objectWriteTraceId` of its
own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from calstream_sandbox.hubspot.bodies import (
    BatchCreate,
    BatchIds,
    BatchRead,
    BatchWrite,
    WriteRow,
)
from calstream_sandbox.hubspot.definitions import RECORD_ID
from calstream_sandbox.hubspot.errors import HubSpotError, missing_objects
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.records import Record
from calstream_sandbox.hubspot.replies import batch, no_content, selected, whole
from calstream_sandbox.hubspot.requests import (
    check_batch,
    flag,
    object_kind,
    read_body,
    refuse_history,
)
from calstream_sandbox.hubspot.versions import ApiVersion
from calstream_sandbox.hubspot.writes import Change, Writer, canonical_id


@dataclass(frozen=True, slots=True)
class _Row:
    """One input that is ready to be planned."""

    trace_id: str | None
    plan: Callable[[], Change]


class BatchApi:
    """Request handlers for one version of the API."""

    def __init__(self, portal: Portal, version: ApiVersion) -> None:
        self._portal = portal
        self._version = version

    async def create(self, request: Request) -> Response:
        """POST /{type}/batch/create: all or nothing, unless every row has a trace id."""
        writer = Writer(self._portal, object_kind(request))
        body = await read_body(request, BatchCreate)
        check_batch(range(len(body.inputs)))
        rows = [
            _Row(
                one.object_write_trace_id,
                partial(writer.plan, None, one.properties, one.associations),
            )
            for one in body.inputs
        ]
        traced = _is_traced([row.trace_id for row in rows])
        return self._carry_out(writer, rows, status=HTTPStatus.CREATED, spoils_row=lambda _: traced)

    async def update(self, request: Request) -> Response:
        """POST /{type}/batch/update."""
        writer = Writer(self._portal, object_kind(request))
        body = await read_body(request, BatchWrite)
        known = self._resolve(writer, body.inputs)

        def plan(one: WriteRow, record: Record | None) -> Change:
            if record is None:
                raise missing_objects(writer.kind.singular, [one.id])
            return writer.plan(record, one.properties)

        rows = [
            _Row(one.object_write_trace_id, partial(plan, one, record))
            for one, record in zip(body.inputs, known, strict=True)
        ]
        traced = _is_traced([row.trace_id for row in rows])
        return self._carry_out(writer, rows, spoils_row=lambda error: traced or error.row_level)

    async def upsert(self, request: Request) -> Response:
        """POST /{type}/batch/upsert: each result says whether it is `new`."""
        writer = Writer(self._portal, object_kind(request))
        body = await read_body(request, BatchWrite)
        known = self._resolve(writer, body.inputs)

        def plan(one: WriteRow, record: Record | None) -> Change:
            if record is not None:
                return writer.plan(record, one.properties)
            if one.id_property is None or one.id_property == RECORD_ID:
                raise missing_objects(writer.kind.singular, [one.id])
            return writer.plan(None, {one.id_property: one.id, **one.properties})

        rows = [
            _Row(one.object_write_trace_id, partial(plan, one, record))
            for one, record in zip(body.inputs, known, strict=True)
        ]
        traced = _is_traced([row.trace_id for row in rows])
        return self._carry_out(
            writer, rows, spoils_row=lambda error: traced or error.row_level, says_new=True
        )

    async def read(self, request: Request) -> Response:
        """POST /{type}/batch/read: what does not exist is named in one error."""
        kind = object_kind(request)
        archived = flag(request, "archived")
        body = await read_body(request, BatchRead)
        refuse_history(body.properties_with_history)
        check_batch([canonical_id(body.id_property, one.id) for one in body.inputs])
        writer, records = Writer(self._portal, kind), self._portal.records
        found: list[Record] = []
        missing: list[str] = []
        for one in body.inputs:
            record = (
                records.get(kind, one.id, archived=True)
                if archived
                else writer.find(body.id_property, one.id)
            )
            if record is None:
                missing.append(one.id)
            else:
                found.append(record)
        results = [selected(record, body.properties, self._version) for record in found]
        errors = [missing_objects(kind.singular, missing).row()] if missing else []
        return batch(results, errors, self._portal.now_ms())

    async def archive(self, request: Request) -> Response:
        """POST /{type}/batch/archive: 204; ids that name nothing are passed over."""
        writer = Writer(self._portal, object_kind(request))
        body = await read_body(request, BatchIds)
        check_batch([one.id for one in body.inputs])
        for one in body.inputs:
            record = writer.find(None, one.id)
            if record is not None:
                writer.archive(record)
        return no_content()

    def _resolve(self, writer: Writer, inputs: Sequence[WriteRow]) -> list[Record | None]:
        """The records that inputs name; raises HubSpotError 400 when two name the same."""
        check_batch([(one.id_property, canonical_id(one.id_property, one.id)) for one in inputs])
        known = [writer.find(one.id_property, one.id) for one in inputs]
        check_batch([record.id for record in known if record is not None])
        return known

    def _carry_out(
        self,
        writer: Writer,
        rows: Sequence[_Row],
        *,
        spoils_row: Callable[[HubSpotError], bool],
        status: HTTPStatus = HTTPStatus.OK,
        says_new: bool = False,
    ) -> Response:
        """Plans every row, then applies those that can be; raises what spoils the whole call."""
        planned: list[tuple[_Row, Change]] = []
        errors: list[dict[str, Any]] = []
        for row in rows:
            try:
                planned.append((row, row.plan()))
            except HubSpotError as error:
                if not spoils_row(error):
                    raise
                errors.append(error.row(row.trace_id))
        results: list[dict[str, Any]] = []
        for row, change in planned:
            result = whole(writer.apply(change))
            if says_new:
                result["new"] = change.record is None
            if row.trace_id is not None:
                result["objectWriteTraceId"] = row.trace_id
            results.append(result)
        return batch(results, errors, self._portal.now_ms(), status=status)


def _is_traced(trace_ids: Sequence[str | None]) -> bool:
    return None not in trace_ids and len(set(trace_ids)) == len(trace_ids)
