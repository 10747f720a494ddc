"""What every request to the vendor passes before its handler: journal, faults, token, limits."""

import asyncio
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calstream_sandbox.hubspot.errors import rate_limited, trouble, unauthorised
from calstream_sandbox.hubspot.faults import Fault, Strike
from calstream_sandbox.hubspot.journal import Asked
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.replies import json_reply
from calstream_sandbox.hubspot.times import record_time

_HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
_BROKEN_LENGTH = 1000  # more than what is sent, so that the connection ends before the body does


class Gate:
    """An ASGI layer around the vendor's routes."""

    def __init__(self, app: ASGIApp, portal: Portal) -> None:
        self._app = app
        self._portal = portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; other scopes go through untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        started = self._portal.now_seconds()
        strike = self._portal.faults.take(scope["method"], path)
        status = 0

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if strike is None:
                await self._admit(scope, receive, noted_send, path)
            else:
                await self._spoil(strike, scope, receive, noted_send, path)
        finally:
            now = self._portal.now_seconds()
            self._portal.journal.add(
                Asked(
                    at=record_time(int(started * 1000)),
                    method=scope["method"],
                    path=path,
                    status=status,
                    seconds=round(now - started, 6),
                    fault=strike is not None,
                )
            )

    async def _admit(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        portal, now = self._portal, self._portal.now_seconds()
        headers = dict(scope["headers"])
        if headers.get(b"authorization", b"").decode("latin-1") != f"Bearer {portal.token}":
            reply = json_reply(unauthorised().body(), HTTPStatus.UNAUTHORIZED)
            await reply(scope, receive, send)
            return
        search = path.endswith("/search")
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

    async def _spoil(
        self, strike: Strike, scope: Scope, receive: Receive, send: Send, path: str
    ) -> None:
        fault = strike.fault
        if fault.latency_seconds:
            await strike.delay(fault.latency_seconds)
        if not fault.effective:
            await self._admit(scope, receive, send, path)
            return
        body = b""
        if fault.carries_out:
            body = await self._carry_out(scope, receive, path)
        if fault.hang_seconds is not None:
            await _hang(strike, receive, fault.hang_seconds)
        if fault.hang_seconds is not None or fault.applied_then_dropped:
            await _break(send)
        elif fault.html:
            await _answer(send, HTTPStatus.OK, b"text/html; charset=utf-8", _HTML)
        elif fault.malformed:
            half = body[: len(body) // 2] or b'{"status":'
            await _answer(send, HTTPStatus.OK, b"application/json;charset=utf-8", half)
        else:
            await _error_reply(fault)(scope, receive, send)

    async def _carry_out(self, scope: Scope, receive: Receive, path: str) -> bytes:
        parts: list[bytes] = []

        async def keep(message: Message) -> None:
            parts.append(message.get("body", b""))

        await self._admit(scope, receive, keep, path)
        return b"".join(parts)


def _error_reply(fault: Fault) -> Any:
    status = HTTPStatus(fault.status or HTTPStatus.BAD_GATEWAY)
    too_many = status is HTTPStatus.TOO_MANY_REQUESTS
    error = rate_limited(fault.policy_name) if too_many else trouble(status)
    wait = fault.retry_after_seconds
    headers = {} if wait is None else {"retry-after": str(wait)}
    return json_reply(error.body(), status, headers)


async def _answer(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _break(send: Send) -> None:
    """Ends the connection inside the reply: fewer bytes than promised, and no end of the body."""
    headers = [(b"content-length", str(_BROKEN_LENGTH).encode())]
    status = HTTPStatus.BAD_GATEWAY
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _hang(strike: Strike, receive: Receive, seconds: float) -> None:
    """Lets the client wait, until it goes away."""
    waits = {
        asyncio.create_task(strike.delay(seconds)),
        asyncio.create_task(_until_gone(receive)),
    }
    _, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
