"""HMAC-SHA256 signatures, on which most vendors agree; they differ in what is signed."""

import hmac
from collections.abc import Sequence

from calstream_ingest.sources.source import Secret


def matching_secret(secrets: Sequence[Secret], message: bytes, signature: bytes) -> str | None:
    """The label of the first secret that gives this signature of the message, or None.

    All secrets are tried and each is compared in constant time, so that the time taken tells
    neither how much of a guess was right nor which secret fitted.
    """
    label: str | None = None
    for secret in secrets:
        expected = hmac.digest(secret.value, message, "sha256")
        if hmac.compare_digest(expected, signature) and label is None:
            label = secret.label
    return label
