"""The endpoints of single objects: create, read, list, update, archive, search."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from calstream_sandbox.hubspot.bodies import CreateObject, GdprDelete, Search, UpdateObject
from calstream_sandbox.hubspot.definitions import EMAIL
from calstream_sandbox.hubspot.errors import HubSpotError, invalid, not_found
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.records import Record
from calstream_sandbox.hubspot.replies import (
    associations,
    json_reply,
    no_content,
    paging,
    selected,
    whole,
)
from calstream_sandbox.hubspot.requests import (
    cursor,
    flag,
    kinds,
    names,
    number,
    object_kind,
    read_body,
    refuse_history,
)
from calstream_sandbox.hubspot.search import check_limits, compile_search, sort_results
from calstream_sandbox.hubspot.versions import ApiVersion
from calstream_sandbox.hubspot.writes import Writer, canonical_id

MAX_PAGE = 100
DEFAULT_PAGE = 10


class ObjectsApi:
    """Request handlers for one version of the API."""

    def __init__(self, portal: Portal, version: ApiVersion) -> None:
        self._portal = portal
        self._version = version

    async def create(self, request: Request) -> Response:
        """POST /{type}: 201; 409 when the e-mail is taken."""
        writer = Writer(self._portal, object_kind(request))
        body = await read_body(request, CreateObject)
        change = writer.plan(None, body.properties, body.associations)
        return json_reply(whole(writer.apply(change)), HTTPStatus.CREATED)

    async def read(self, request: Request) -> Response:
        """GET /{type}/{id}: by record id, or by a unique property with `idProperty`."""
        refuse_history(names(request, "propertiesWithHistory"))
        archived = flag(request, "archived")
        asked_for = names(request, "properties")
        linked_kinds = kinds(request, "associations")
        record = self._named(request, archived=archived)
        linked = associations(record, linked_kinds, self._portal.links)
        return json_reply(selected(record, asked_for, self._version) | linked)

    async def list_page(self, request: Request) -> Response:
        """GET /{type}: pages in order of id."""
        refuse_history(names(request, "propertiesWithHistory"))
        kind = object_kind(request)
        limit = number(request, "limit", default=DEFAULT_PAGE, highest=MAX_PAGE)
        asked_for = names(request, "properties")
        linked_kinds = kinds(request, "associations")
        page = self._portal.records.page(
            kind, after=cursor(request), limit=limit + 1, archived=flag(request, "archived")
        )
        shown = page[:limit]
        results = [
            selected(record, asked_for, self._version)
            | associations(record, linked_kinds, self._portal.links)
            for record in shown
        ]
        after = shown[-1].id if len(page) > limit else None
        return json_reply({"results": results} | paging(after))

    async def update(self, request: Request) -> Response:
        """PATCH /{type}/{id}: writes the properties given, clears the empty ones."""
        body = await read_body(request, UpdateObject)
        record = self._named(request, archived=False)
        writer = Writer(self._portal, record.kind)
        return json_reply(whole(writer.apply(writer.plan(record, body.properties))))

    async def archive(self, request: Request) -> Response:
        """DELETE /{type}/{id}: 204, also when it is archived already."""
        kind, record_id = object_kind(request), request.path_params["object_id"]
        record = self._portal.records.get(kind, record_id)
        if record is not None:
            Writer(self._portal, kind).archive(record)
        elif self._portal.records.get(kind, record_id, archived=True) is None:
            raise _missing(kind)
        return no_content()

    async def gdpr_delete(self, request: Request) -> Response:
        """POST /{type}/gdpr-delete: 204; contacts alone, archived ones too.

        By an address that nobody has, the address is barred from now on.
        """
        kind = object_kind(request)
        body = await read_body(request, GdprDelete)
        if kind is not ObjectKind.CONTACTS:
            raise invalid(f"{kind.value} can't be deleted for ever")
        writer = Writer(self._portal, kind)
        record = writer.find(body.id_property, body.object_id)
        if record is None and body.id_property is None:
            record = self._portal.records.get(kind, body.object_id, archived=True)
        if record is not None:
            writer.purge(record)
        elif body.id_property == EMAIL:
            self._portal.barred_emails.add(canonical_id(EMAIL, body.object_id))
        else:
            raise _missing(kind)
        return no_content()

    async def search(self, request: Request) -> Response:
        """POST /{type}/search: over an index that lags."""
        portal, kind = self._portal, object_kind(request)
        body = await read_body(request, Search)
        offset = check_limits(body)
        test = compile_search(body, kind, portal.properties)
        portal.refresh_index()
        found = portal.index.matching(kind, test)
        sort_results(found, body.sorts, kind, portal.properties)
        end = offset + body.limit
        results = []
        for record_id, properties in found[offset:end]:
            record = self._stored(kind, record_id)
            results.append(selected(record, body.properties, self._version, properties=properties))
        after = end if end < len(found) else None
        return json_reply({"total": len(found), "results": results} | paging(after))

    def _stored(self, kind: ObjectKind, record_id: int) -> Record:
        key = str(record_id)
        record = self._portal.records.get(kind, key)
        if record is None:  # archived since: search has not noticed yet
            record = self._portal.records.get(kind, key, archived=True)
        assert record is not None
        return record

    def _named(self, request: Request, *, archived: bool) -> Record:
        kind, value = object_kind(request), request.path_params["object_id"]
        if archived:
            record = self._portal.records.get(kind, value, archived=True)
        else:
            id_property = request.query_params.get("idProperty")
            record = Writer(self._portal, kind).find(id_property, value)
        if record is None:
            raise _missing(kind)
        return record


def _missing(kind: ObjectKind) -> HubSpotError:
    return not_found(f"Object not found. The id names no {kind.singular}.")
