"""What HubSpot asks of every request before its handler: a token, and room in the rate limits."""

from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calstream_sandbox.faults import Fault
from calstream_sandbox.gate import path_below
from calstream_sandbox.hubspot.errors import rate_limited, trouble, unauthorised
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.replies import json_reply

_USUAL_POLICY = "TEN_SECONDLY_ROLLING"


class Admission:
    """An ASGI layer around the vendor's routes."""

    def __init__(self, app: ASGIApp, portal: Portal) -> None:
        self._app = app
        self._portal = portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admits one request, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        portal, now = self._portal, self._portal.now_seconds()
        headers = dict(scope["headers"])
        if headers.get(b"authorization", b"").decode("latin-1") != f"Bearer {portal.token}":
            reply = json_reply(unauthorised().body(), HTTPStatus.UNAUTHORIZED)
            await reply(scope, receive, send)
            return
        search = path_below(scope).endswith("/search")
        policy = portal.limits.refusal(now, search=search)

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start" and not search:
                message["headers"] = [*message["headers"], *portal.limits.headers(now)]
            await send(message)

        if policy is None:
            await self._app(scope, receive, counted_send)
        else:
            reply = json_reply(rate_limited(policy).body(), HTTPStatus.TOO_MANY_REQUESTS)
            await reply(scope, receive, counted_send)


def error_reply(fault: Fault) -> Response:
    """The error that a fault asks for, as HubSpot writes it."""
    status = HTTPStatus(fault.status or HTTPStatus.BAD_GATEWAY)
    too_many = status is HTTPStatus.TOO_MANY_REQUESTS
    error = rate_limited(fault.policy_name or _USUAL_POLICY) if too_many else trouble(status)
    return json_reply(error.body(), status, fault.headers)
