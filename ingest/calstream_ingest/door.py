"""The door: one ASGI application that verifies, seals, stores and answers.

Without a web framework on purpose: there is one route, and it is found by one look into a
dictionary. On the way of a webhook there is no file, no SQL, no call but the one to the broker.
"""

import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import Any

import structlog

from calstream_core.clock import now_microseconds
from calstream_core.errors import UnavailableError
from calstream_core.metrics import INGEST_REQUEST_SECONDS, INGEST_REQUESTS
from calstream_core.settings import IngestSettings
from calstream_ingest import answers
from calstream_ingest.addresses import Address
from calstream_ingest.answers import Answer, Send, send_answer
from calstream_ingest.body import Cause, Receive, Unread, read_body
from calstream_ingest.rejects import RejectLog
from calstream_ingest.room import Hold, Room
from calstream_ingest.sources import Refusal, Request, Secret, Verified
from calstream_ingest.webhook_log import WebhookLog
from calstream_schemas.webhooks import ReceivedWebhook

READ_SECONDS = 5
"""How long a body may take to arrive; calendar.live itself waits no longer for the answer."""

_ROOM_BYTES = 64 * 1024 * 1024
_HEALTH_PATH = "/healthz"
_UNKNOWN = "unknown"
_MAX_CONTENT_TYPE_CHARACTERS = 200
_UNREAD_ANSWERS = {
    Cause.TOO_LARGE: answers.TOO_LARGE,
    Cause.NO_ROOM: answers.BUSY,
    Cause.TOO_SLOW: answers.TOO_SLOW,
    Cause.SENDER_LEFT: answers.SENDER_LEFT,
}

_log = structlog.get_logger()


class Door:
    """Takes webhooks at `/v1/webhooks/{workspace}/{source}`, and tells its health at `/healthz`.

    Args:
        addresses: by path.
        webhooks: takes what is accepted.
        rejects: takes what is refused.
        settings: limits.
        health: tells what is wrong, or None.
        room_bytes: what all requests may hold at once.
        read_seconds: how long a body may take to arrive.
        clock: the time in microseconds.
    """

    def __init__(
        self,
        addresses: Mapping[str, Address],
        webhooks: WebhookLog,
        rejects: RejectLog,
        settings: IngestSettings,
        *,
        health: Callable[[], str | None],
        room_bytes: int = _ROOM_BYTES,
        read_seconds: float = READ_SECONDS,
        clock: Callable[[], int] = now_microseconds,
    ) -> None:
        self._addresses = addresses
        self._webhooks = webhooks
        self._rejects = rejects
        self._max_body_bytes = settings.max_body_bytes
        self._base_url = settings.base_url
        self._health = health
        self._room = Room(room_bytes)
        self._read_seconds = read_seconds
        self._clock = clock

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one HTTP request; ASGI's other kinds of scope are not served."""
        started = perf_counter()
        address = self._addresses.get(scope["path"])
        if address is None and scope["path"] == _HEALTH_PATH:
            fault = self._health()
            await send_answer(answers.UNHEALTHY if fault else answers.HEALTHY, send)
            return
        source = address.source.name if address else _UNKNOWN
        try:
            answer = await self._answer(address, scope, receive)
        except Exception as error:  # noqa: BLE001 - no input may give a 500; the sender comes again
            _log.error(
                "a webhook could not be handled",
                source=source,
                error=type(error).__name__,
                # the frames alone: the error's text may quote the webhook
                trace="".join(traceback.format_tb(error.__traceback__)),
            )
            answer = answers.FAILED
        if answer is not answers.SENDER_LEFT:
            await send_answer(answer, send)
        INGEST_REQUESTS.labels(source, answer.outcome).inc()
        INGEST_REQUEST_SECONDS.labels(source).observe(perf_counter() - started)

    async def _answer(
        self, address: Address | None, scope: Mapping[str, Any], receive: Receive
    ) -> Answer:
        if address is None:
            return answers.NOT_FOUND
        if scope["method"] != "POST":
            return answers.METHOD_NOT_ALLOWED
        received_at = self._clock()
        hold = self._room.enter()
        if hold is None:
            return answers.BUSY
        with hold:
            headers = _headers(scope["headers"])
            body = await self._read(headers, receive, hold)
            uri = self._uri(scope)
            if isinstance(body, Unread):
                request = Request("POST", uri, headers, b"", received_at)
                return self._give_up(address, request, body)
            request = Request("POST", uri, headers, body, received_at)
            return await self._take(address, request, hold)

    async def _read(
        self, headers: Mapping[str, str], receive: Receive, hold: Hold
    ) -> bytes | Unread:
        limit_bytes = self._max_body_bytes
        announced_bytes = _announced_bytes(headers)
        if announced_bytes > limit_bytes:
            return Unread(Cause.TOO_LARGE, announced_bytes)
        return await read_body(
            receive, hold, limit_bytes=limit_bytes, timeout_seconds=self._read_seconds
        )

    async def _take(self, address: Address, request: Request, hold: Hold) -> Answer:
        if not _is_plain_json(request.headers):
            return self._refuse(address, request, answers.WRONG_TYPE)
        verdict = address.source.authenticate(request, address.secrets)
        if isinstance(verdict, Refusal):
            return self._refuse(address, request, answers.unauthorised(verdict))
        challenge = address.source.answer_challenge(request.body, _secret_of(address, verdict))
        if isinstance(challenge, Refusal):
            return self._refuse(address, request, answers.unauthorised(challenge))
        if challenge is not None:
            return answers.challenge_answered(challenge)
        named = address.source.named_workspace(request.body)
        if named is not None and named != address.workspace:
            return self._refuse(address, request, answers.WRONG_WORKSPACE)
        return await self._store(address, request, verdict, hold)

    async def _store(
        self, address: Address, request: Request, verified: Verified, hold: Hold
    ) -> Answer:
        webhook = ReceivedWebhook(
            id=str(uuid.uuid4()),
            workspace=address.workspace,
            source=address.source.name,
            received_at=request.received_at,
            delivery_id=verified.delivery_id,
            scheme=verified.scheme,
            secret_label=verified.secret_label,
            content_type=request.headers["content-type"][:_MAX_CONTENT_TYPE_CHARACTERS],
            body=request.body,
        )
        try:
            await self._webhooks.write(address, webhook, hold)
        except UnavailableError:
            return answers.UNAVAILABLE
        return answers.accepted(webhook.id)

    def _give_up(self, address: Address, request: Request, unread: Unread) -> Answer:
        answer = _UNREAD_ANSWERS[unread.cause]
        if unread.cause is Cause.TOO_LARGE:
            self._rejects.write(address, request, answer, None, body_bytes=unread.count_bytes)
        return answer

    def _refuse(self, address: Address, request: Request, answer: Answer) -> Answer:
        self._rejects.write(address, request, answer, request.body, body_bytes=len(request.body))
        return answer

    def _uri(self, scope: Mapping[str, Any]) -> str:
        query = scope["query_string"]
        uri = f"{self._base_url}{scope['path']}"
        return f"{uri}?{query.decode('latin-1')}" if query else uri


def _secret_of(address: Address, verified: Verified) -> Secret:
    return next(one for one in address.secrets if one.label == verified.secret_label)


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1")
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _announced_bytes(headers: Mapping[str, str]) -> int:
    digits = headers.get("content-length", "0")
    # what Avro's long can't hold is as good as the most that it can
    return min(int(digits[:20]), 2**63 - 1) if digits.isdecimal() else 0


def _is_plain_json(headers: Mapping[str, str]) -> bool:
    content_type = headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    is_json = kind == "application/json" or ("/" in kind and kind.endswith("+json"))
    return is_json and headers.get("content-encoding", "identity").strip().lower() == "identity"
