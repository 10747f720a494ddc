"""Webhooks as they are kept: the raw body sealed, with how it was verified or why it was not."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calstream_core.errors import CalstreamError, UnavailableError
from calstream_core.sealing import Box, Erased, Sealer, day_key, leaf_of
from calstream_schemas import codec
from calstream_schemas.codec import Poison

_BODY = "webhook.body"


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """A webhook whose signature was verified. `body` is Erased once the day's key is destroyed."""

    id: str
    workspace: str
    source: str
    received_at: int
    delivery_id: str | None
    scheme: str
    secret_label: str
    content_type: str
    body: bytes | Erased


@dataclass(frozen=True, slots=True)
class RejectedWebhook:
    """A webhook that was refused.

    `body` is None where it was too large to keep, Erased once the day's key is destroyed.
    """

    id: str
    workspace: str
    source: str
    received_at: int
    status: int
    error_code: str
    reason: str
    headers: Mapping[str, str]
    body_bytes: int
    body: bytes | Erased | None


def encode_received(webhook: ReceivedWebhook, sealer: Sealer) -> bytes:
    """The value for `webhooks`, sealed with a key of its own below the day's."""
    assert isinstance(webhook.body, bytes)  # it has just come in
    box = sealer.under(day_key(webhook.received_at), leaf_of(webhook.id)).seal(_BODY, webhook.body)
    return codec.encode(
        "WebhookReceived",
        {
            "id": webhook.id,
            "workspace": webhook.workspace,
            "source": webhook.source,
            "received_at": webhook.received_at,
            "delivery_id": webhook.delivery_id,
            "scheme": webhook.scheme,
            "secret_label": webhook.secret_label,
            "content_type": webhook.content_type,
            "body_sha256": hashlib.sha256(webhook.body).digest(),
            "body": {"key_id": box.key_id, "box": box.data},
        },
    )


def decode_received(raw: bytes, sealer_of: Callable[[str], Sealer]) -> ReceivedWebhook | Poison:
    """Reads a value of `webhooks`; never raises for what is in it.

    Raises:
        UnavailableError: the key store does not answer.
    """
    decoded = codec.decode(raw, "WebhookReceived")
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    try:
        box = Box(body["body"]["key_id"], body["body"]["box"])
        plain = sealer_of(body["workspace"]).open(_BODY, box, leaf_of(str(body["id"])))
    except UnavailableError:
        raise  # of the key store; says nothing of the record
    except CalstreamError as error:
        return Poison(raw, error.code, error.message)
    return ReceivedWebhook(
        id=str(body["id"]),
        workspace=body["workspace"],
        source=body["source"],
        received_at=body["received_at"],
        delivery_id=body["delivery_id"],
        scheme=body["scheme"],
        secret_label=body["secret_label"],
        content_type=body["content_type"],
        body=plain,
    )


def encode_rejected(webhook: RejectedWebhook, sealer: Sealer) -> bytes:
    """The value for `webhooks.rejected`."""
    sealed = None
    if webhook.body is not None:
        assert isinstance(webhook.body, bytes)  # it has just come in
        box = sealer.under(day_key(webhook.received_at), leaf_of(webhook.id)).seal(
            _BODY, webhook.body
        )
        sealed = {"key_id": box.key_id, "box": box.data}
    return codec.encode(
        "WebhookRejected",
        {
            "id": webhook.id,
            "workspace": webhook.workspace,
            "source": webhook.source,
            "received_at": webhook.received_at,
            "status": webhook.status,
            "error_code": webhook.error_code,
            "reason": webhook.reason,
            "headers": dict(webhook.headers),
            "body_bytes": webhook.body_bytes,
            "body": sealed,
        },
    )


def decode_rejected(raw: bytes, sealer_of: Callable[[str], Sealer]) -> RejectedWebhook | Poison:
    """Reads a value of `webhooks.rejected`; never raises for what is in it.

    Raises:
        UnavailableError: the key store does not answer.
    """
    decoded = codec.decode(raw, "WebhookRejected")
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    sealed = body["body"]
    try:
        plain = (
            sealer_of(body["workspace"]).open(
                _BODY, Box(sealed["key_id"], sealed["box"]), leaf_of(str(body["id"]))
            )
            if sealed
            else None
        )
    except UnavailableError:
        raise  # of the key store; says nothing of the record
    except CalstreamError as error:
        return Poison(raw, error.code, error.message)
    return RejectedWebhook(
        id=str(body["id"]),
        workspace=body["workspace"],
        source=body["source"],
        received_at=body["received_at"],
        status=body["status"],
        error_code=body["error_code"],
        reason=body["reason"],
        headers=body["headers"],
        body_bytes=body["body_bytes"],
        body=plain,
    )


def sealed_body(raw: bytes) -> tuple[str, str, str] | None:
    """Where the body's key of a value of `webhooks` or `webhooks.rejected` is found.

    Returns:
        The workspace, the id of the key, and the leaf below it; None for any other value, and for
        one without a body.
    """
    decoded = codec.decode(raw)
    if isinstance(decoded, Poison) or decoded.record not in {"WebhookReceived", "WebhookRejected"}:
        return None
    sealed = decoded.body["body"]
    if sealed is None:
        return None
    return decoded.body["workspace"], sealed["key_id"], leaf_of(str(decoded.body["id"]))
