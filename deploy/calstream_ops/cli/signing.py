"""Signs a webhook as the sender of its source would."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calstream_core.clock import MICROSECONDS_PER_SECOND, now_microseconds
from calstream_sandbox.calendar_live import signature as calendar_live
from calstream_sandbox.hubspot import signature as hubspot
from calstream_sandbox.stripe import signature as stripe
from calstream_sandbox.zoom import signature as zoom

_MICROSECONDS_PER_MILLISECOND = 1000


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A webhook that is to be signed.

    Attributes:
        uri: what the sender calls, as `ingest.public_url` makes it.
        at: the time of the signature, in microseconds.
    """

    uri: str
    body: bytes
    delivery_id: str
    at: int

    @property
    def at_seconds(self) -> int:
        """The time in whole seconds since 1970."""
        return self.at // MICROSECONDS_PER_SECOND


SIGNERS: Mapping[str, Callable[[str, Unsigned], dict[str, str]]] = {
    "calendar_live": lambda secret, it: calendar_live.delivery_headers(
        secret, it.body, it.delivery_id
    ),
    "stripe": lambda secret, it: stripe.delivery_headers(secret, it.body, it.at_seconds),
    "zoom": lambda secret, it: zoom.delivery_headers(secret, it.body, it.at_seconds),
    "hubspot": lambda secret, it: hubspot.delivery_headers(
        secret, it.uri, it.body, it.at // _MICROSECONDS_PER_MILLISECOND
    ),
}
"""By source: every header that a delivery carries."""


def signed_headers(
    source: str, secret: bytes, uri: str, body: bytes, delivery_id: str
) -> dict[str, str]:
    """The headers of a webhook that is sent now.

    Args:
        source: a key of `SIGNERS`.
        secret: what the two sides share.
        uri: what the sender calls.
        body: the raw bytes.
        delivery_id: for a source that names its deliveries.
    """
    unsigned = Unsigned(uri, body, delivery_id, now_microseconds())
    return SIGNERS[source](secret.decode(), unsigned)
