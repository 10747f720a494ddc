"""The simulator as one ASGI application: tokens, limits, then the call."""

import base64
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from calstream_sandbox.faults import Fault
from calstream_sandbox.gate import Gate
from calstream_sandbox.zoom.account import Account
from calstream_sandbox.zoom.api import GatheringsApi
from calstream_sandbox.zoom.control import Control
from calstream_sandbox.zoom.errors import ZoomError, bad_token
from calstream_sandbox.zoom.gatherings import MEETING, WEBINAR
from calstream_sandbox.zoom.limits import Category

Handler = Callable[[Request], Awaitable[Response]]


def build_zoom(account: Account) -> list[BaseRoute]:
    """The routes to mount under the vendor's name: `/oauth/token` and `/v2`."""
    vendor = Vendor(account)
    app = Starlette(
        routes=[Route("/oauth/token", vendor.token, methods=["POST"]), *vendor.routes()],
        exception_handlers={ZoomError: _refusal, HTTPException: _no_such_call},
    )
    app.router.redirect_slashes = False
    return [
        Mount("/_control", routes=Control(account).routes()),
        Mount("/", app=Gate(app, account.desk, fault_reply)),
    ]


class Vendor:
    """Zoom's calls."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """Every call below `/v2`."""
        found = [
            self._route("/v2/users/{user_id}", "GET", Category.LIGHT, self.read_user),
        ]
        for kind in (MEETING, WEBINAR):
            api = GatheringsApi(self._account, kind)
            many = f"/v2/users/{{user_id}}/{kind.name}s"
            one = f"/v2/{kind.name}s/{{id}}"
            light, medium, heavy = Category.LIGHT, Category.MEDIUM, Category.HEAVY
            found += [
                self._route(many, "POST", light, api.create),
                self._route(many, "GET", medium, api.list_page),
                self._route(one, "GET", light, api.read),
                self._route(one, "PATCH", light, api.update),
                self._route(one, "DELETE", light, api.delete),
                self._route(f"{one}/status", "PUT", light, api.end),
                self._route(f"{one}/registrants", "POST", light, api.register),
                self._route(f"{one}/registrants", "GET", medium, api.list_registrants),
                self._route(f"{one}/registrants/status", "PUT", medium, api.change_registrants),
                self._route(f"{one}/batch_registrants", "POST", heavy, api.register_many),
            ]
        return found

    async def token(self, request: Request) -> Response:
        """POST /oauth/token: a new access token for the app's credentials."""
        credentials = self._account.credentials
        form = {**request.query_params, **await _form(request)}
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        wanted = f"{credentials.client_id}:{credentials.client_secret}".encode()
        if given != base64.b64encode(wanted).decode():
            return _oauth_error("Invalid client_id or client_secret", "invalid_client")
        if form.get("grant_type") != "account_credentials":
            return _oauth_error("unsupported grant type", "unsupported_grant_type")
        if form.get("account_id") != credentials.account_id:
            return _oauth_error("Bad Request", "invalid_request")
        seconds = int(self._account.settings.token_seconds)
        reply = {
            "access_token": self._account.new_token(),
            "token_type": "bearer",
            "expires_in": seconds,
            "scope": "meeting:write:admin webinar:write:admin user:read:admin",
            "api_url": "https://api.zoom.us",
        }
        return _json(reply)

    async def read_user(self, request: Request) -> Response:
        """GET /users/{userId}."""
        return _json(self._account.user(request.path_params["user_id"]))

    def _route(self, path: str, method: str, category: Category, handler: Handler) -> Route:
        async def admitted(request: Request) -> Response:
            self._authorise(request)
            headers = self._account.limits.take(category, self._account.now_seconds())
            try:
                reply = await handler(request)
            except ZoomError as error:
                error.headers = {**headers, **error.headers}
                raise
            reply.headers.update(headers)
            return reply

        return Route(path, admitted, methods=[method])

    def _authorise(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        ends = self._account.tokens.get(token)
        if scheme != "Bearer" or ends is None:
            raise bad_token()
        if ends <= self._account.now_seconds():
            raise bad_token("Access token is expired.")


def fault_reply(fault: Fault) -> Response:
    """The error that a fault asks for, as Zoom writes it."""
    status = fault.status or HTTPStatus.BAD_GATEWAY
    headers = dict(fault.headers)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers |= {"X-RateLimit-Type": fault.policy_name or "QPS"}
    return _json({"code": status, "message": "The sandbox was asked for it."}, status, headers)


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("latin-1")))


def _json(content: Any, status: int = HTTPStatus.OK, headers: Any = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def _oauth_error(reason: str, error: str) -> Response:
    status = HTTPStatus.UNAUTHORIZED if error == "invalid_client" else HTTPStatus.BAD_REQUEST
    return _json({"reason": reason, "error": error}, status)


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, ZoomError)
    return _json(error.body, error.status, error.headers)


async def _no_such_call(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = "This API endpoint is not recognized."
    return _json({"code": 2300, "message": message}, error.status_code)
