"""The endpoints of associations."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from calstream_sandbox.hubspot.association_bodies import (
    AssociationPage,
    BatchArchivedPairs,
    BatchAssociationPages,
    BatchLabelledPairs,
    BatchPairs,
)
from calstream_sandbox.hubspot.associations import AssociationType, default_type, resolve_types
from calstream_sandbox.hubspot.bodies import AssociationSpec
from calstream_sandbox.hubspot.errors import HubSpotError, invalid, missing_objects
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.records import Record
from calstream_sandbox.hubspot.replies import batch, json_reply, no_content, paging
from calstream_sandbox.hubspot.requests import (
    check_batch,
    cursor,
    number,
    object_kind,
    read_body,
    read_cursor,
)
from calstream_sandbox.hubspot.rows import each_row
from calstream_sandbox.hubspot.versions import ApiVersion

MAX_CREATED = 2_000
MAX_READ = 1_000
MAX_ARCHIVED = 100
MAX_PAGE = 500

_SPECS = TypeAdapter(list[AssociationSpec])


class AssociationsApi:
    """Request handlers for one version of the API."""

    def __init__(self, portal: Portal, version: ApiVersion) -> None:
        self._portal = portal
        self._version = version

    async def put_default(self, request: Request) -> Response:
        """PUT .../associations/default/...: associates; again changes nothing."""
        source, target = self._pair(request)
        results = self._associate_default(source, target)
        return batch(results, [], self._portal.now_ms())

    async def put(self, request: Request) -> Response:
        """PUT .../associations/...: associates by the types in the body."""
        source, target = self._pair(request)
        try:
            specs = _SPECS.validate_json(await request.body())
        except ValidationError as error:
            raise invalid(f"Invalid input JSON on line 1, column 1: {error.title}") from None
        types = resolve_types(source.kind, specs, target.kind)
        return json_reply(self._associate(source, target, types), HTTPStatus.CREATED)

    async def remove(self, request: Request) -> Response:
        """DELETE .../associations/...: 204, also when they are not associated."""
        source, target = self._pair(request)
        self._portal.links.remove(source, target)
        return no_content()

    async def list_page(self, request: Request) -> Response:
        """GET .../associations/{type}: the records of a kind that one is associated with."""
        source = self._record(object_kind(request), request.path_params["object_id"])
        kind = object_kind(request, "to_object_type")
        limit = number(request, "limit", default=MAX_PAGE, highest=MAX_PAGE)
        results, after = self._page(source, kind, cursor(request), limit)
        return json_reply({"results": results} | paging(after))

    async def create_batch(self, request: Request) -> Response:
        """POST .../batch/create."""
        source_kind, target_kind = _kinds(request)
        body = await read_body(request, BatchLabelledPairs)
        check_batch(range(len(body.inputs)), limit=MAX_CREATED)
        typed = [
            (one.from_.id, one.to.id, resolve_types(source_kind, one.types, target_kind))
            for one in body.inputs
        ]
        results, errors = each_row(
            typed,
            lambda one: [
                self._associate(
                    self._record(source_kind, one[0]), self._record(target_kind, one[1]), one[2]
                )
            ],
        )
        status = self._version.batch_created
        return batch(results, errors, self._portal.now_ms(), status=status)

    async def create_default_batch(self, request: Request) -> Response:
        """POST .../batch/associate/default."""
        source_kind, target_kind = _kinds(request)
        body = await read_body(request, BatchPairs)
        check_batch(range(len(body.inputs)), limit=MAX_CREATED)
        default_type(source_kind, target_kind)
        results, errors = each_row(
            body.inputs,
            lambda one: self._associate_default(
                self._record(source_kind, one.from_.id), self._record(target_kind, one.to.id)
            ),
        )
        return batch(results, errors, self._portal.now_ms())

    async def read_batch(self, request: Request) -> Response:
        """POST .../batch/read: a record without associations is an error of its row."""
        source_kind, target_kind = _kinds(request)
        body = await read_body(request, BatchAssociationPages)
        check_batch([one.id for one in body.inputs], limit=MAX_READ)
        results, errors = each_row(
            body.inputs, lambda one: [self._read(source_kind, target_kind, one)]
        )
        return batch(results, errors, self._portal.now_ms())

    async def archive_batch(self, request: Request) -> Response:
        """POST .../batch/archive: pairs that are not associated are passed over."""
        source_kind, target_kind = _kinds(request)
        body = await read_body(request, BatchArchivedPairs)
        check_batch(range(len(body.inputs)), limit=MAX_ARCHIVED)
        for one in body.inputs:
            for to in one.to:
                self._remove(source_kind, one.from_.id, target_kind, to.id, None)
        return self._archived()

    async def archive_labels_batch(self, request: Request) -> Response:
        """POST .../batch/labels/archive: takes away the types given."""
        source_kind, target_kind = _kinds(request)
        body = await read_body(request, BatchLabelledPairs)
        check_batch(range(len(body.inputs)), limit=MAX_ARCHIVED)
        typed = [(one, resolve_types(source_kind, one.types, target_kind)) for one in body.inputs]
        for one, types in typed:
            self._remove(source_kind, one.from_.id, target_kind, one.to.id, types)
        return self._archived()

    def _archived(self) -> Response:
        if self._version.archive_has_body:
            return batch([], [], self._portal.now_ms())
        return no_content()

    def _record(self, kind: ObjectKind, record_id: str) -> Record:
        record = self._portal.records.get(kind, record_id)
        if record is None:
            raise missing_objects(kind.singular, [record_id])
        return record

    def _pair(self, request: Request) -> tuple[Record, Record]:
        source = self._record(object_kind(request), request.path_params["object_id"])
        target_kind = object_kind(request, "to_object_type")
        return source, self._record(target_kind, request.path_params["to_object_id"])

    def _associate(
        self, source: Record, target: Record, types: Sequence[AssociationType]
    ) -> dict[str, Any]:
        for one in types:
            self._portal.links.add(source, target, one)
        return {
            "fromObjectTypeId": source.kind.type_id,
            "fromObjectId": str(source.id),
            "toObjectTypeId": target.kind.type_id,
            "toObjectId": str(target.id),
            "labels": [],
        }

    def _associate_default(self, source: Record, target: Record) -> list[dict[str, Any]]:
        one = default_type(source.kind, target.kind)
        self._portal.links.add(source, target, one)
        pairs = ((source, target, one.id), (target, source, one.inverse_id))
        return [
            {
                "from": {"id": str(here.id)},
                "to": {"id": str(there.id)},
                "associationSpec": {
                    "associationCategory": "HUBSPOT_DEFINED",
                    "associationTypeId": type_id,
                },
            }
            for here, there, type_id in pairs
        ]

    def _remove(
        self,
        source_kind: ObjectKind,
        source_id: str,
        target_kind: ObjectKind,
        target_id: str,
        types: Sequence[AssociationType] | None,
    ) -> None:
        source = self._portal.records.get(source_kind, source_id)
        target = self._portal.records.get(target_kind, target_id)
        if source is not None and target is not None:
            self._portal.links.remove(source, target, types)

    def _page(
        self, source: Record, kind: ObjectKind, after: int, limit: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        targets = [item for item in self._portal.links.targets(source, kind) if item[0] > after]
        results = [
            {
                "toObjectId": str(target_id),
                "associationTypes": [
                    {"category": "HUBSPOT_DEFINED", "typeId": one.id} for one in types
                ],
            }
            for target_id, types in targets[:limit]
        ]
        return results, targets[limit - 1][0] if len(targets) > limit else None

    def _read(
        self, source_kind: ObjectKind, target_kind: ObjectKind, one: AssociationPage
    ) -> dict[str, Any]:
        source = self._record(source_kind, one.id)
        results, after = self._page(source, target_kind, read_cursor(one.after), MAX_PAGE)
        if not results:
            raise _no_associations(source, target_kind)
        return {"from": {"id": str(source.id)}, "to": results} | paging(after)


def _kinds(request: Request) -> tuple[ObjectKind, ObjectKind]:
    return object_kind(request), object_kind(request, "to_object_type")


def _no_associations(source: Record, kind: ObjectKind) -> HubSpotError:
    # HubSpot has no empty result here. Its subcategory is a string on the wire, against its own
    # specification of these rows, so it stands in the row's details.
    message = f"No {kind.singular} is associated with {source.kind.singular} {source.id}."
    return HubSpotError(
        HTTPStatus.NOT_FOUND,
        "OBJECT_NOT_FOUND",
        message,
        details=[{"message": message, "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"}],
        context={
            "fromObjectId": [str(source.id)],
            "fromObjectType": [source.kind.singular],
            "toObjectType": [kind.singular],
        },
        row_level=True,
    )
