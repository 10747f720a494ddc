"""Webhooks as they arrive, one line each: what was taken and what was refused."""

from dataclasses import dataclass
from typing import Any

import orjson

from calstream_core.sealing import Erased
from calstream_ops.inspection.keys import SealerOf
from calstream_ops.inspection.log_reader import LogRecord
from calstream_ops.inspection.times import readable
from calstream_schemas.codec import Poison
from calstream_schemas.topics import REJECTED
from calstream_schemas.webhooks import decode_received, decode_rejected

ACCEPTED = "accepted"
_TYPE_FIELDS = ("type", "event", "subscriptionType")  # calendar.live and Stripe, Zoom, HubSpot
_ID_FIELDS = ("id", "event_ts", "eventId")


@dataclass(frozen=True, slots=True)
class WebhookLine:
    """A webhook without anything personal in it.

    Attributes:
        received_at: ISO 8601, or empty where the record can't be read.
        event_type: as the body names it, the first of several; empty where it names none or can't
            be opened. What was refused may hold anything here.
        event_id: the same.
        outcome: `accepted`, the error code for which it was refused, or why it can't be read.
    """

    received_at: str
    workspace: str
    source: str
    event_type: str
    event_id: str
    outcome: str


def webhook_line(record: LogRecord, sealer_of: SealerOf) -> WebhookLine:
    """What a record of `webhooks` or `webhooks.rejected` tells; never raises for what is in it."""
    value = record.value or b""
    if record.topic.endswith(REJECTED.name):
        rejected = decode_rejected(value, sealer_of)
        if isinstance(rejected, Poison):
            return _unreadable(record, rejected)
        outcome = f"{rejected.status} {rejected.error_code}"
        kind, id_ = _event(rejected.body)
        return WebhookLine(
            readable(rejected.received_at), rejected.workspace, rejected.source, kind, id_, outcome
        )
    received = decode_received(value, sealer_of)
    if isinstance(received, Poison):
        return _unreadable(record, received)
    kind, id_ = _event(received.body)
    return WebhookLine(
        readable(received.received_at), received.workspace, received.source, kind, id_, ACCEPTED
    )


def _unreadable(record: LogRecord, poison: Poison) -> WebhookLine:
    return WebhookLine("", record.key, "", "", "", f"{poison.code}: {poison.reason}")


def _event(body: bytes | Erased | None) -> tuple[str, str]:
    """The type and id that a body names."""
    if not isinstance(body, bytes):
        return "", ""
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    if isinstance(document, list) and document:
        document = document[0]  # HubSpot sends several at once
    if not isinstance(document, dict):
        return "", ""
    kind = next((document[name] for name in _TYPE_FIELDS if name in document), None)
    id_ = next((document[name] for name in _ID_FIELDS if name in document), None)
    return _word(kind), _word(id_)


def _word(value: Any) -> str:
    return str(value)[:80] if isinstance(value, (str, int)) else ""
