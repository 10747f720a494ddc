"""The headers of a webhook as Zoom signs it."""

import hashlib
import hmac

SIGNATURE_HEADER = "x-zm-signature"
TIME_HEADER = "x-zm-request-timestamp"


def sign(secret: str, raw_body: bytes, at_seconds: int) -> str:
    """The header's value: a `v0` of the time and the raw body."""
    message = b"v0:%d:%s" % (at_seconds, raw_body)
    return f"v0={hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}"


def encrypted_token(secret: str, plain_token: str) -> str:
    """What proves that an address knows the secret."""
    return hmac.new(secret.encode(), plain_token.encode(), hashlib.sha256).hexdigest()


def delivery_headers(secret: str, raw_body: bytes, at_seconds: int) -> dict[str, str]:
    """Every header that a delivery carries; each attempt is signed anew."""
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Zoom Marketplace/1.0a",
        TIME_HEADER: str(at_seconds),
        SIGNATURE_HEADER: sign(secret, raw_body, at_seconds),
    }
