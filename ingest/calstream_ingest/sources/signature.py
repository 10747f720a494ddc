"""HMAC-SHA256 signatures, on which most vendors agree; they differ in what is signed."""

import hmac
from collections.abc import Sequence

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_core.errors import Code
from calstream_ingest.sources.source import Refusal, Secret

TOLERANCE_SECONDS = 300
"""How far the time in a signature may be from ours, either way."""


def matching_secret(secrets: Sequence[Secret], message: bytes, *signatures: bytes) -> str | None:
    """The label of the first secret that gives one of these signatures of the message, or None.

    All secrets are tried and each is compared in constant time, so that the time taken tells
    neither how much of a guess was right nor which secret fitted.
    """
    label: str | None = None
    for secret in secrets:
        expected = hmac.digest(secret.value, message, "sha256")
        for signature in signatures:
            if hmac.compare_digest(expected, signature) and label is None:
                label = secret.label
    return label


def stale(signed_at: int, received_at: int) -> Refusal | None:
    """The refusal of a signature that is too old, or too new to be true; None within tolerance.

    To be asked after the signature was found right, so that the answer tells strangers nothing.

    Args:
        signed_at: the signed time, in microseconds.
        received_at: when the request arrived, in microseconds.
    """
    difference = received_at - signed_at
    if abs(difference) <= TOLERANCE_SECONDS * MICROSECONDS_PER_SECOND:
        return None
    where = "before" if difference > 0 else "after"
    return Refusal(
        Code.SIGNATURE_STALE,
        f"The request was signed more than {TOLERANCE_SECONDS} s {where} it arrived.",
    )
