"""Zoom: HMAC-SHA256 of `v0:TIME:BODY` in `x-zm-signature`, and its question whose address this is.

Zoom sends nothing to an address that has not answered `endpoint.url_validation`, and asks again
about every 72 h. The question is signed like every webhook, and is answered only then. Zoom names
no delivery and states no tolerance; five minutes is what the others have.
"""

import hmac
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_core.errors import Code
from calstream_ingest.sources.signature import matching_secret, stale
from calstream_ingest.sources.source import Refusal, Request, Secret, Verified, WebhookSource

_SIGNATURE_HEADER = "x-zm-signature"
_TIME_HEADER = "x-zm-request-timestamp"
_SIGNATURE = re.compile(r"v0=([0-9a-f]{64})")
_TIME = re.compile(r"[1-9][0-9]{0,11}")
_SCHEME = "zoom-v0"
_CHALLENGE = "endpoint.url_validation"
# without a colon: an answer can never be the signature of a webhook
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9_+/=.-]{1,256}")


class Zoom(WebhookSource):
    """Webhooks of Zoom. The secret is the app's Secret Token."""

    name: ClassVar[str] = "zoom"
    headers: ClassVar[frozenset[str]] = frozenset({_SIGNATURE_HEADER, _TIME_HEADER})
    given_by_vendor: ClassVar[str] = "the app's Secret Token"

    def authenticate(self, request: Request, secrets: Sequence[Secret]) -> Verified | Refusal:
        """Verifies the signature, then its time."""
        header = request.headers.get(_SIGNATURE_HEADER)
        time = request.headers.get(_TIME_HEADER)
        if not header or not time:
            return Refusal(
                Code.SIGNATURE_MISSING,
                "The header x-zm-signature or x-zm-request-timestamp is missing.",
            )
        form = _SIGNATURE.fullmatch(header)
        if form is None or _TIME.fullmatch(time) is None:
            return Refusal(
                Code.SIGNATURE_INVALID,
                "The header x-zm-signature is not v0= with 64 hexadecimal digits, or its time is "
                "no number.",
            )
        signed = b"v0:%s:%s" % (time.encode(), request.body)
        label = matching_secret(secrets, signed, bytes.fromhex(form[1]))
        if label is None:
            return Refusal(
                Code.SIGNATURE_INVALID, "No active secret gives this signature of the body."
            )
        old = stale(int(time) * MICROSECONDS_PER_SECOND, request.received_at)
        return old or Verified(_SCHEME, label, None)

    def answer_challenge(self, body: bytes, secret: Secret) -> bytes | Refusal | None:
        """The token that came and its HMAC under the secret, as Zoom wants them."""
        try:
            document: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(document, dict) or document.get("event") != _CHALLENGE:
            return None
        payload = document.get("payload")
        token = payload.get("plainToken") if isinstance(payload, dict) else None
        if not isinstance(token, str) or _PLAIN_TOKEN.fullmatch(token) is None:
            return Refusal(Code.CHALLENGE_INVALID, "The question has no usable payload.plainToken.")
        encrypted = hmac.digest(secret.value, token.encode(), "sha256").hex()
        return orjson.dumps({"plainToken": token, "encryptedToken": encrypted})
