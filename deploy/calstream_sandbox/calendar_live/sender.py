"""How calendar.live delivers: 200 acknowledges, 5xx and silence are retried, the rest is final."""

from http import HTTPStatus

from calstream_sandbox.calendar_live.signature import delivery_headers
from calstream_sandbox.sender import Practice, WebhookSender

CALENDAR_LIVE = Practice(
    delays_seconds=(5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0, 86_400.0),
    timeout_seconds=5.0,
    headers=lambda delivery, raw, _url, _at: delivery_headers(delivery.secret, raw, delivery.id),
    acknowledges=lambda status: status == HTTPStatus.OK,
    retries=lambda status: status >= HTTPStatus.INTERNAL_SERVER_ERROR,
)


def calendar_live_sender(*, retry_scale: float = 1.0) -> WebhookSender:
    """A sender that does so."""
    return WebhookSender(CALENDAR_LIVE, retry_scale=retry_scale)
