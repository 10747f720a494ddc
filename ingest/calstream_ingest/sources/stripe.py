"""Stripe: HMAC-SHA256 of time and raw body, `Stripe-Signature: t=...,v1=...,v1=...`.

While an endpoint's secret is being replaced Stripe signs with both, one `v1` each. Every attempt is
signed anew, so an old time is a replay. The event's id is in the signed body.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_core.errors import Code
from calstream_ingest.sources.signature import matching_secret, stale
from calstream_ingest.sources.source import Refusal, Request, Secret, Verified, WebhookSource

_HEADER = "stripe-signature"
_TIME = re.compile(r"[1-9][0-9]{0,11}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_SCHEME = "stripe-v1"


class Stripe(WebhookSource):
    """Webhooks of Stripe. The secret is the endpoint's, whole, with its `whsec_`."""

    name: ClassVar[str] = "stripe"
    headers: ClassVar[frozenset[str]] = frozenset({_HEADER})
    given_by_vendor: ClassVar[str] = "the endpoint's signing secret, whsec_..."

    def authenticate(self, request: Request, secrets: Sequence[Secret]) -> Verified | Refusal:
        """Verifies any `v1` signature under any secret, then its time; no other scheme."""
        header = request.headers.get(_HEADER)
        if not header:
            return Refusal(Code.SIGNATURE_MISSING, "The header Stripe-Signature is missing.")
        parts = [part.partition("=") for part in header.split(",")]
        times = [value for name, _, value in parts if name == "t"]
        signatures = [
            bytes.fromhex(value)
            for name, _, value in parts
            if name == "v1" and _SIGNATURE.fullmatch(value)
        ]
        if len(times) != 1 or _TIME.fullmatch(times[0]) is None or not signatures:
            return Refusal(
                Code.SIGNATURE_INVALID,
                "The header Stripe-Signature has no time or no v1 signature.",
            )
        signed = b"%s.%s" % (times[0].encode(), request.body)
        label = matching_secret(secrets, signed, *signatures)
        if label is None:
            return Refusal(
                Code.SIGNATURE_INVALID, "No active secret gives this signature of the body."
            )
        old = stale(int(times[0]) * MICROSECONDS_PER_SECOND, request.received_at)
        return old or Verified(_SCHEME, label, None)
