"""Signs webhooks as Standard Webhooks 1.0.0 has it, with symmetric secrets.

What is signed is `id.timestamp.body`, with HMAC-SHA256. A message that is sent again keeps its id
and gets a new timestamp, so receivers know repeats by the id.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from calstream_core.errors import Code, ConfigError, InvariantError

PREFIX = "whsec_"
_MIN_BYTES, _MAX_BYTES = 16, 64
"""The specification wants 24 at least; secrets that are about, its published example's among them,
are shorter."""


def decode_secret(text: str) -> bytes:
    """The key that a secret stands for: base64 after `whsec_`, with or without its padding.

    Raises:
        ConfigError: it is no such secret. The message does not hold it.
    """
    encoded = text.strip().removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(
            Code.CONFIG_INVALID,
            "A webhook signing secret is not base64.",
            hint=f"It is `{PREFIX}` and {_MIN_BYTES} to {_MAX_BYTES} bytes in base64.",
        ) from None
    if not _MIN_BYTES <= len(key) <= _MAX_BYTES:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"A webhook signing secret has {len(key)} bytes.",
            hint=f"It has {_MIN_BYTES} to {_MAX_BYTES}.",
        )
    return key


def signed_headers(
    keys: Sequence[bytes], message_id: str, timestamp_seconds: int, body: bytes
) -> dict[str, str]:
    """The headers that go with a webhook.

    Args:
        keys: one or more, the newest first: while a secret is being replaced both sign.
        message_id: the same whenever the message is sent; has no dot.
        timestamp_seconds: when it is sent this time, since 1970.
        body: the very bytes that are sent.

    Raises:
        InvariantError: the id has a dot, so that what is signed could be read in two ways.
    """
    if "." in message_id or not keys:
        raise InvariantError(
            Code.INVARIANT_BROKEN, "A webhook needs an id without dots, and a key."
        )
    signed = f"{message_id}.{timestamp_seconds}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_seconds),
        "webhook-signature": " ".join(f"v1,{each.decode()}" for each in signatures),
    }
