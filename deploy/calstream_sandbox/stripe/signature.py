"""The headers of a webhook as Stripe signs it."""

import hashlib
import hmac

SIGNATURE_HEADER = "Stripe-Signature"


def sign(secret: str, raw_body: bytes, at_seconds: int) -> str:
    """The header's value: the time, and a `v1` of the time and the raw body."""
    message = b"%d.%s" % (at_seconds, raw_body)
    return f"t={at_seconds},v1={hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}"


def delivery_headers(secret: str, raw_body: bytes, at_seconds: int) -> dict[str, str]:
    """Every header that a delivery carries; each attempt is signed anew."""
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        SIGNATURE_HEADER: sign(secret, raw_body, at_seconds),
    }
