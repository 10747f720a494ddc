"""The calls on meetings and webinars: reading requests, writing replies."""

import base64
import binascii
from collections.abc import Sequence
from http import HTTPStatus

import orjson
from starlette.requests import Request
from starlette.responses import Response

from calstream_sandbox.zoom.account import Account, Held, Thing
from calstream_sandbox.zoom.bodies import (
    End,
    Gathering,
    ManyRegistrants,
    NewRegistrant,
    StatusChange,
    number,
    read_body,
)
from calstream_sandbox.zoom.errors import invalid_field
from calstream_sandbox.zoom.gatherings import Gatherings, Kind, shown
from calstream_sandbox.zoom.registrants import Registrants

_MAX_PAGE = 300
_PAGE = 30
_MEETING_LISTS = ("scheduled", "live", "upcoming", "upcoming_meetings", "previous_meetings")
_WEBINAR_LISTS = ("scheduled", "upcoming")
_STATES = ("pending", "approved", "denied")


class GatheringsApi:
    """Request handlers for one kind."""

    def __init__(self, account: Account, kind: Kind) -> None:
        self._kind = kind
        self._gatherings = Gatherings(account, kind)
        self._registrants = Registrants(account, kind)
        self._lists = _MEETING_LISTS if kind.name == "meeting" else _WEBINAR_LISTS

    async def create(self, request: Request) -> Response:
        """POST /users/{userId}/meetings: 201."""
        given = await read_body(request, Gathering)
        made = self._gatherings.create(request.path_params["user_id"], given)
        return _json(made, HTTPStatus.CREATED)

    async def list_page(self, request: Request) -> Response:
        """GET /users/{userId}/meetings: pages."""
        which = _choice(request, "type", self._lists)
        found = self._gatherings.listed(request.path_params["user_id"], which)
        return _json(_page(request, f"{self._kind.name}s", found))

    async def read(self, request: Request) -> Response:
        """GET /meetings/{id}."""
        return _json(shown(self._held(request).thing))

    async def update(self, request: Request) -> Response:
        """PATCH /meetings/{id}: 204."""
        given = await read_body(request, Gathering)
        self._gatherings.update(request.path_params["id"], given)
        return _no_content()

    async def delete(self, request: Request) -> Response:
        """DELETE /meetings/{id}: 204, and 404 from then on."""
        self._gatherings.delete(request.path_params["id"])
        return _no_content()

    async def end(self, request: Request) -> Response:
        """PUT /meetings/{id}/status: 204."""
        given = await read_body(request, End)
        if "end" not in {given.action, given.status}:
            raise invalid_field("action")
        self._gatherings.end(request.path_params["id"])
        return _no_content()

    async def register(self, request: Request) -> Response:
        """POST /meetings/{id}/registrants: 201."""
        held = self._held(request)
        given = await read_body(request, NewRegistrant)
        added = self._registrants.add(held, given)
        return _json(self._registrants.reply(held, added), HTTPStatus.CREATED)

    async def register_many(self, request: Request) -> Response:
        """POST /meetings/{id}/batch_registrants: 201."""
        held = self._held(request)
        given = await read_body(request, ManyRegistrants)
        added = [
            self._registrants.add(held, each, auto_approve=given.auto_approve)
            for each in given.registrants
        ]
        found = [
            {name: each[name] for name in ("email", "join_url")} | {"registrant_id": each["id"]}
            for each in added
        ]
        return _json({"registrants": found}, HTTPStatus.CREATED)

    async def list_registrants(self, request: Request) -> Response:
        """GET /meetings/{id}/registrants: pages."""
        held = self._held(request)
        status = _choice(request, "status", _STATES, default="approved")
        found = self._registrants.listed(held, status)
        return _json(_page(request, "registrants", found))

    async def change_registrants(self, request: Request) -> Response:
        """PUT /meetings/{id}/registrants/status: 204."""
        held = self._held(request)
        self._registrants.change(held, await read_body(request, StatusChange))
        return _no_content()

    def _held(self, request: Request) -> Held:
        return self._gatherings.find(request.path_params["id"])


def _choice(
    request: Request, name: str, known: Sequence[str], *, default: str | None = None
) -> str:
    given = request.query_params.get(name, default or known[0])
    if given not in known:
        raise invalid_field(name)
    return given


def _page(request: Request, name: str, found: Sequence[Thing]) -> Thing:
    size = number(request, "page_size", default=_PAGE, highest=_MAX_PAGE)
    page = number(request, "page_number", default=1, highest=10**9)
    start = (page - 1) * size
    token = request.query_params.get("next_page_token")
    if token:
        start = _place(token)
    end = start + size
    return {
        "page_count": -(-len(found) // size),
        "page_number": start // size + 1,
        "page_size": size,
        "total_records": len(found),
        "next_page_token": _token(end) if end < len(found) else "",
        name: found[start:end],
    }


def _token(place: int) -> str:
    return base64.urlsafe_b64encode(f"place:{place}".encode()).decode()


def _place(token: str) -> int:
    try:
        text = base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise invalid_field("next_page_token", "The next page token is invalid.") from error
    place = text.removeprefix("place:")
    if not (place.isascii() and place.isdecimal()):
        raise invalid_field("next_page_token", "The next page token is invalid.")
    return int(place)


def _json(content: Thing, status: int = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _no_content() -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT)
