"""Every answer that a sender can get. None is a redirect, and none is a 500.

A sender that gets a 5xx tries again; one that gets a 4xx may give up for good. So what is our
trouble is 503 with `Retry-After`, and only what would be refused again tomorrow is a 4xx.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import orjson

from calstream_core.errors import Code
from calstream_ingest.sources import Refusal

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_RETRY_AFTER_SECONDS = 5


class Answer(NamedTuple):
    """An answer.

    Attributes:
        outcome: the metric's label.
        code: what was wrong; None where nothing was.
        message: the same for a reader.
    """

    outcome: str
    status: int
    code: Code | None
    message: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


def _answer(outcome: str, status: int, code: Code, message: str, **headers: str) -> Answer:
    body = orjson.dumps({"status": "refused", "code": code, "message": message})
    return Answer(outcome, status, code, message, _headers("application/json", body, headers), body)


def _headers(content_type: str, body: bytes, more: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.replace("_", "-").encode(), value.encode()) for name, value in more.items()),
    ]


def _try_again(outcome: str, code: Code, message: str) -> Answer:
    return _answer(outcome, 503, code, message, retry_after=str(_RETRY_AFTER_SECONDS))


NOT_FOUND = _answer(
    "unknown", 404, Code.ADDRESS_UNKNOWN, "No workspace takes webhooks of a source here."
)
METHOD_NOT_ALLOWED = _answer(
    "wrong_method", 405, Code.METHOD_NOT_ALLOWED, "Webhooks are sent with POST.", allow="POST"
)
TOO_LARGE = _answer("too_large", 413, Code.BODY_TOO_LARGE, "The body is too large.")
WRONG_TYPE = _answer(
    "wrong_type", 415, Code.CONTENT_TYPE_UNSUPPORTED, "The body must be JSON, not compressed."
)
UNAVAILABLE = _try_again(
    "unavailable", Code.BROKER_UNAVAILABLE, "The webhook could not be stored in time."
)
BUSY = _try_again("busy", Code.INGEST_BUSY, "Too many webhooks are being received.")
TOO_SLOW = _try_again("too_slow", Code.BODY_INCOMPLETE, "The body did not arrive in time.")
FAILED = _try_again("failed", Code.INVARIANT_BROKEN, "The webhook could not be handled.")
SENDER_LEFT = Answer("sender_left", 0, Code.BODY_INCOMPLETE, "The sender left.", [], b"")
"""Not sent: nobody is there to read it."""

WRONG_WORKSPACE = _answer(
    "wrong_workspace",
    401,
    Code.WORKSPACE_MISMATCH,
    "The body names another workspace than the address.",
)

HEALTHY = Answer("", 200, None, "", _headers("text/plain", b"ok\n", {}), b"ok\n")
UNHEALTHY = Answer("", 503, None, "", _headers("text/plain", b"failing\n", {}), b"failing\n")

_ACCEPTED_BODY = b'{"status":"accepted","id":"%s"}'
_ACCEPTED_HEADERS = _headers("application/json", _ACCEPTED_BODY % (b"0" * 36), {})


def accepted(identifier: str) -> Answer:
    """The webhook is stored.

    Args:
        identifier: its id in the log, a UUID of 36 characters.
    """
    return Answer(
        "accepted", 200, None, "", _ACCEPTED_HEADERS, _ACCEPTED_BODY % identifier.encode()
    )


def challenge_answered(body: bytes) -> Answer:
    """The sender has asked whether this address is ours; nothing is stored.

    Args:
        body: the proof, as JSON.
    """
    headers = _headers("application/json", body, {})
    return Answer("challenge", 200, None, "", headers, body)


def unauthorised(refusal: Refusal) -> Answer:
    """The source does not vouch for it."""
    return _answer("bad_signature", 401, refusal.code, refusal.reason)


async def send_answer(answer: Answer, send: Send) -> None:
    """Sends an answer through ASGI."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})
