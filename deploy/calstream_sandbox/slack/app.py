"""The simulator as one ASGI application: every answer is 200, but for too many requests."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from calstream_sandbox.faults import Fault
from calstream_sandbox.gate import Gate
from calstream_sandbox.slack.chat import Chat, SlackError
from calstream_sandbox.slack.control import Control
from calstream_sandbox.slack.workspace import BOT, BOT_USER, TEAM, Thing, Workspace

Method = Callable[[Thing], Thing]
_FORM = "application/x-www-form-urlencoded"
_MEDIA_TYPE = "application/json; charset=utf-8"


def build_slack(workspace: Workspace) -> list[BaseRoute]:
    """The routes to mount under the vendor's name: `/api/METHOD`."""
    vendor = Vendor(workspace)
    app = Starlette(routes=[Route("/api/{method}", vendor.call, methods=["GET", "POST"])])
    return [
        Mount("/_control", routes=Control(workspace).routes()),
        Mount("/", app=Gate(app, workspace.desk, fault_reply, _MEDIA_TYPE)),
    ]


class Vendor:
    """Slack's web API."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        chat = Chat(workspace)
        self._methods: dict[str, Method] = {
            "auth.test": self._auth_test,
            "chat.postMessage": chat.post,
            "chat.update": chat.update,
            "chat.delete": chat.delete,
            "conversations.list": self._conversations,
        }

    async def call(self, request: Request) -> Response:
        """POST /api/METHOD."""
        warning = None
        try:
            method = self._method(request.path_params["method"])
            given, warning = await _arguments(request)
            self._authorise(request, given)
            wait_seconds = self._wait_seconds(request.path_params["method"], given)
            if wait_seconds is not None:
                return _too_many(str(wait_seconds))
            reply = {"ok": True, **method(given)}
        except SlackError as error:
            reply = error.body
        if warning is not None:
            reply |= {"warning": warning, "response_metadata": {"warnings": [warning]}}
        return _json(reply)

    def _method(self, name: str) -> Method:
        method = self._methods.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        return method

    def _wait_seconds(self, name: str, given: Thing) -> int | None:
        if name != "chat.postMessage":
            return self._workspace.wait_seconds(name, None)
        channel = self._workspace.channel(str(given.get("channel")))
        return self._workspace.wait_seconds(name, channel.id if channel else "")

    def _authorise(self, request: Request, given: Thing) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token if scheme == "Bearer" else str(given.pop("token", ""))
        if not token:
            raise SlackError("not_authed")
        if token != self._workspace.token:
            raise SlackError("invalid_auth")

    def _auth_test(self, _: Thing) -> Thing:
        return {
            "url": "https://sandbox.slack.com/",
            "team": "Sandbox",
            "user": "calstream",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT,
            "is_enterprise_install": False,
        }

    def _conversations(self, _: Thing) -> Thing:
        channels = [
            {
                "id": each.id,
                "name": each.name,
                "is_channel": True,
                "is_archived": each.is_archived,
                "is_member": each.is_member,
                "is_private": False,
            }
            for each in self._workspace.channels.values()
        ]
        return {"channels": channels, "response_metadata": {"next_cursor": ""}}


def fault_reply(fault: Fault) -> Response:
    """The error that a fault asks for, as Slack writes it."""
    if fault.error is not None:
        return _json({"ok": False, "error": fault.error})
    status = fault.status or HTTPStatus.BAD_GATEWAY
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _too_many(fault.headers.get("retry-after", "1"))
    return Response("upstream trouble", status, fault.headers, media_type="text/plain")


async def _arguments(request: Request) -> tuple[Thing, str | None]:
    """The arguments of a call, and a warning about how they came."""
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    body = await request.body()
    given: Thing = dict(request.query_params)
    if kind == "application/json":
        try:
            parsed: Any = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError:
            raise SlackError("invalid_json") from None
        if not isinstance(parsed, dict):
            raise SlackError("json_not_object")
        return given | parsed, None if "charset" in content_type.lower() else "missing_charset"
    if body and kind != _FORM:
        raise SlackError("invalid_form_data" if kind else "missing_post_type")
    fields = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    return given | dict(fields), None


def _json(content: Thing, status: int = HTTPStatus.OK, headers: Any = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type=_MEDIA_TYPE)


def _too_many(wait: str) -> Response:
    body: Thing = {"ok": False, "error": "ratelimited"}
    return _json(body, HTTPStatus.TOO_MANY_REQUESTS, {"retry-after": wait})
