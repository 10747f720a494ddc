"""What every request to a vendor passes before its handler: the journal and the faults."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calstream_sandbox.faults import Fault, FaultQueue, Strike
from calstream_sandbox.journal import Asked, Journal

_HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
_BROKEN_LENGTH = 1000  # more than what is sent, so that the connection ends before the body does


class Desk:
    """What a vendor keeps beside its state: faults to come, and what was asked.

    Args:
        now_seconds: the vendor's clock, as seconds since 1970.
    """

    def __init__(self, now_seconds: Callable[[], float]) -> None:
        self.now_seconds = now_seconds
        self.faults = FaultQueue()
        self.journal = Journal()

    def clear(self) -> None:
        """No faults, no counts."""
        self.faults.clear()
        self.journal.clear()


class Gate:
    """An ASGI layer around a vendor's application.

    Args:
        app: admits and answers requests.
        desk: the vendor's.
        error_reply: the error in the vendor's form that a fault asks for.
        media_type: of the vendor's replies, for one that is cut in half.
    """

    def __init__(
        self,
        app: ASGIApp,
        desk: Desk,
        error_reply: Callable[[Fault], Response],
        media_type: str = "application/json",
    ) -> None:
        self._app = app
        self._desk = desk
        self._error_reply = error_reply
        self._media_type = media_type.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; other scopes go through untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = path_below(scope)
        started = self._desk.now_seconds()
        strike = self._desk.faults.take(scope["method"], path)
        status = 0

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if strike is None:
                await self._app(scope, receive, noted_send)
            else:
                await self._spoil(strike, scope, receive, noted_send)
        finally:
            now = self._desk.now_seconds()
            self._desk.journal.add(
                Asked(
                    at=_stamp(started),
                    method=scope["method"],
                    path=path,
                    status=status,
                    seconds=round(now - started, 6),
                    fault=strike is not None,
                )
            )

    async def _spoil(self, strike: Strike, scope: Scope, receive: Receive, send: Send) -> None:
        fault = strike.fault
        if fault.latency_seconds:
            await strike.delay(fault.latency_seconds)
        if not fault.effective:
            await self._app(scope, receive, send)
            return
        body = b""
        if fault.carries_out:
            body = await self._carry_out(scope, receive)
        if fault.hang_seconds is not None:
            await _hang(strike, receive, fault.hang_seconds)
        if fault.hang_seconds is not None or fault.applied_then_dropped:
            await _break(send)
        elif fault.html:
            await _answer(send, HTTPStatus.OK, b"text/html; charset=utf-8", _HTML)
        elif fault.malformed:
            half = body[: len(body) // 2] or b'{"status":'
            await _answer(send, HTTPStatus.OK, self._media_type, half)
        else:
            await self._error_reply(fault)(scope, receive, send)

    async def _carry_out(self, scope: Scope, receive: Receive) -> bytes:
        parts: list[bytes] = []

        async def keep(message: Message) -> None:
            parts.append(message.get("body", b""))

        await self._app(scope, receive, keep)
        return b"".join(parts)


def path_below(scope: Scope) -> str:
    """The path of a request below the vendor's base URL."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _stamp(seconds: float) -> str:
    at = datetime.fromtimestamp(int(seconds * 1000) / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
