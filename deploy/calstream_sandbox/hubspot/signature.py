"""The headers of a webhook as HubSpot signs it."""

import base64
import hashlib
import hmac

SIGNATURE_HEADER = "X-HubSpot-Signature-v3"
TIME_HEADER = "X-HubSpot-Request-Timestamp"


def sign(secret: str, uri: str, raw_body: bytes, at_milliseconds: int) -> str:
    """The header's value: base64 over method, address, raw body and time."""
    message = b"POST%s%s%d" % (uri.encode(), raw_body, at_milliseconds)
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def delivery_headers(
    secret: str, uri: str, raw_body: bytes, at_milliseconds: int
) -> dict[str, str]:
    """Every header that a delivery carries; each attempt is signed anew."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "HubSpot Connect 2.0 (https://hubspot.com)",
        TIME_HEADER: str(at_milliseconds),
        SIGNATURE_HEADER: sign(secret, uri, raw_body, at_milliseconds),
    }
