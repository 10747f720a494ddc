"""HubSpot, version 3: HMAC-SHA256 of method, address, raw body and time.

The address is the one that HubSpot calls, so `ingest.public_url` must be right: behind a proxy no
request tells it that could be trusted. Versions 1 and 2 have no time and are not taken. A body is a
list of up to 100 events; it is one webhook, with one answer.
"""

import base64
import re
from collections.abc import Sequence
from typing import ClassVar

from calstream_core.errors import Code
from calstream_ingest.sources.signature import matching_secret, stale
from calstream_ingest.sources.source import Refusal, Request, Secret, Verified, WebhookSource

_SIGNATURE_HEADER = "x-hubspot-signature-v3"
_TIME_HEADER = "x-hubspot-request-timestamp"
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{43}=")
_MILLISECONDS = re.compile(r"[1-9][0-9]{0,14}")
_MICROSECONDS_PER_MILLISECOND = 1000
# these and no others stand in their plain form in what HubSpot signs
_DECODED = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_SCHEME = "hubspot-v3"


class HubSpot(WebhookSource):
    """Webhooks of HubSpot. The secret is the app's client secret."""

    name: ClassVar[str] = "hubspot"
    headers: ClassVar[frozenset[str]] = frozenset({_SIGNATURE_HEADER, _TIME_HEADER})
    given_by_vendor: ClassVar[str] = "the app's client secret"
    signs_address: ClassVar[bool] = True

    def authenticate(self, request: Request, secrets: Sequence[Secret]) -> Verified | Refusal:
        """Verifies the signature, then its time."""
        header = request.headers.get(_SIGNATURE_HEADER)
        time = request.headers.get(_TIME_HEADER)
        if not header or not time:
            return Refusal(
                Code.SIGNATURE_MISSING,
                "The header X-HubSpot-Signature-v3 or X-HubSpot-Request-Timestamp is missing.",
            )
        signature = _signature(header)
        if signature is None or _MILLISECONDS.fullmatch(time) is None:
            return Refusal(
                Code.SIGNATURE_INVALID,
                "The header X-HubSpot-Signature-v3 is not 32 bytes in base64, or its time is no "
                "number.",
            )
        address = f"{request.method}{_as_signed(request.uri)}".encode()
        label = matching_secret(secrets, address + request.body + time.encode(), signature)
        if label is None:
            return Refusal(
                Code.SIGNATURE_INVALID,
                "No active secret gives this signature of the body, sent to the address that "
                "ingest.public_url makes.",
            )
        old = stale(int(time) * _MICROSECONDS_PER_MILLISECOND, request.received_at)
        return old or Verified(_SCHEME, label, None)


def _signature(header: str) -> bytes | None:
    if _SIGNATURE.fullmatch(header) is None:
        return None
    signature = base64.b64decode(header)
    # the last digit has two bits to spare; only one way of writing it is right
    return signature if base64.b64encode(signature).decode() == header else None


def _as_signed(uri: str) -> str:
    return _DECODED.sub(lambda escape: chr(int(escape[1], 16)), uri)
