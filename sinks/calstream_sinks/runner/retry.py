"""When to try again: exponential with full jitter, a cap, and what the vendor asked for."""

import random

_BASE_SECONDS = 0.5
_CAP_SECONDS = 300.0
HORIZON_SECONDS = 72 * 60 * 60
"""How long a change is tried before it goes to the dead letters."""


def backoff_seconds(
    attempts: int, retry_after_seconds: float | None, jitter: random.Random
) -> float:
    """Seconds to wait before the next attempt.

    Full jitter spreads the attempts of many keys evenly, so that a vendor that comes back is not
    met by all of them at once. What the vendor asked for is a lower bound.

    Args:
        attempts: how many there were; at least 1.
        retry_after_seconds: what the vendor asked for, if it did.
        jitter: the source of chance.
    """
    ceiling = min(_CAP_SECONDS, _BASE_SECONDS * 2 ** min(attempts, 20))
    spread = jitter.uniform(0, ceiling)
    return spread if retry_after_seconds is None else retry_after_seconds + spread / 4
