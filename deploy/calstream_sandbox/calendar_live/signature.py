"""The headers of a delivery: signature and delivery id."""

import hashlib
import hmac

SIGNATURE_HEADER = "X-CL-Signature"
DELIVERY_ID_HEADER = "X-CL-Delivery-ID"


def sign(secret: str, raw_body: bytes) -> str:
    """Hex HMAC-SHA256 of the raw body under the webhook secret."""
    return hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()


def delivery_headers(secret: str, raw_body: bytes, delivery_id: str) -> dict[str, str]:
    """Every header that a delivery carries; the delivery id is outside the signature."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "calendar.live-webhooks/1",
        SIGNATURE_HEADER: sign(secret, raw_body),
        DELIVERY_ID_HEADER: delivery_id,
    }
