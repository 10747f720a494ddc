"""Reads a request's body within limits of size, memory and time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum, auto
from typing import Any, NamedTuple

from calstream_ingest.room import Hold

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Cause(Enum):
    """Why a body was not read to its end."""

    TOO_LARGE = auto()
    NO_ROOM = auto()
    TOO_SLOW = auto()
    SENDER_LEFT = auto()


class Unread(NamedTuple):
    """A body that was given up.

    Attributes:
        cause: why.
        count_bytes: how much of it had been counted until then.
    """

    cause: Cause
    count_bytes: int


async def read_body(
    receive: Receive, hold: Hold, *, limit_bytes: int, timeout_seconds: float
) -> bytes | Unread:
    """Reads to the end, counting, whatever length was announced; stops at once at a limit.

    Args:
        receive: ASGI's.
        hold: grows with the body.
        limit_bytes: the largest body that is read.
        timeout_seconds: for the whole body, so that no sender can hold a place by dripping.
    """
    body = bytearray()
    count_bytes = 0
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return Unread(Cause.SENDER_LEFT, count_bytes)
                chunk = message.get("body", b"")
                count_bytes += len(chunk)
                if count_bytes > limit_bytes:
                    return Unread(Cause.TOO_LARGE, count_bytes)
                if not hold.grow(len(chunk)):
                    return Unread(Cause.NO_ROOM, count_bytes)
                body += chunk
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return Unread(Cause.TOO_SLOW, count_bytes)
