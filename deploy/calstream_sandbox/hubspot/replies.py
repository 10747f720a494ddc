"""Rendering replies."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from calstream_sandbox.hubspot.associations import AssociationGraph
from calstream_sandbox.hubspot.definitions import CREATED, MODIFIED, RECORD_ID, SHOWN_BY_DEFAULT
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.records import Record
from calstream_sandbox.hubspot.times import record_time
from calstream_sandbox.hubspot.versions import ApiVersion

MEDIA_TYPE = "application/json;charset=utf-8"


def json_reply(
    content: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON reply with HubSpot's content type."""
    return Response(orjson.dumps(content), status, headers=headers, media_type=MEDIA_TYPE)


def no_content() -> Response:
    """204 without a body."""
    return Response(status_code=HTTPStatus.NO_CONTENT)


def whole(record: Record, properties: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A record with every property that has a value, as writes give it back."""
    reply = {
        "id": str(record.id),
        "properties": dict(record.properties if properties is None else properties),
        "createdAt": record_time(record.created_ms),
        "updatedAt": record_time(record.updated_ms),
        "archived": record.archived_ms is not None,
    }
    if record.archived_ms is not None:
        reply["archivedAt"] = record_time(record.archived_ms)
    return reply


def selected(
    record: Record,
    asked_for: Sequence[str],
    version: ApiVersion,
    *,
    properties: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A record with the properties asked for, or the default ones, and always the system's."""
    values = record.properties if properties is None else properties
    system = (CREATED[record.kind], MODIFIED[record.kind], RECORD_ID)
    shown: dict[str, str | None] = {}
    for name in (*(asked_for or SHOWN_BY_DEFAULT[record.kind]), *system):
        if name in values:
            shown[name] = values[name]
        elif version.shows_absent:
            shown[name] = None
    return whole(record) | {"properties": shown}


def associations(
    record: Record, kinds: Sequence[ObjectKind], links: AssociationGraph
) -> dict[str, Any]:
    """The `associations` of a record that is read; empty where there are none."""
    found: dict[str, Any] = {}
    for kind in kinds:
        results = [
            {"id": str(target_id), "type": one.name}
            for target_id, types in links.targets(record, kind)
            for one in types
        ]
        if results:
            found[kind.value] = {"results": results}
    return {"associations": found} if found else {}


def batch(
    results: Sequence[Any],
    errors: Sequence[Mapping[str, Any]],
    now_ms: int,
    *,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """The reply to a batch: 207 with `errors[]` where rows failed, else `status`.

    Results come in another order than the inputs, as they do from the live API: clients must go by
    id or by `objectWriteTraceId`.
    """
    body: dict[str, Any] = {
        "status": "COMPLETE",
        "results": list(reversed(results)),
        "startedAt": record_time(now_ms),
        "completedAt": record_time(now_ms),
    }
    if errors:
        body |= {"numErrors": len(errors), "errors": list(errors)}
    return json_reply(body, HTTPStatus.MULTI_STATUS if errors else status)


def paging(after: int | None) -> dict[str, Any]:
    """The `paging` of a page that more follow; empty on the last."""
    return {} if after is None else {"paging": {"next": {"after": str(after)}}}
