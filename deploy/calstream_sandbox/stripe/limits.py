"""Stripe's rate limits: of the account, and of each call."""

from calstream_sandbox.windows import RollingWindow


class RateLimits:
    """Counts requests in a second that moves along."""

    def __init__(self, per_second: int, per_endpoint: int) -> None:
        self._account = RollingWindow(per_second, 1)
        self._per_endpoint = per_endpoint
        self._endpoints: dict[str, RollingWindow] = {}

    def set_limits(self, per_second: int, per_endpoint: int) -> None:
        """Changes the limits; what was counted stays counted."""
        self._account.limit = per_second
        self._per_endpoint = per_endpoint
        for window in self._endpoints.values():
            window.limit = per_endpoint

    def refusal(self, endpoint: str, now_seconds: float) -> str | None:
        """Counts a request; `Stripe-Rate-Limited-Reason` of the limit that refuses it, or None."""
        window = self._endpoints.get(endpoint)
        if window is None:
            window = self._endpoints[endpoint] = RollingWindow(self._per_endpoint, 1)
        if self._account.remaining(now_seconds) <= 0:
            return "global-rate"
        if not window.take(now_seconds):
            return "endpoint-rate"
        self._account.take(now_seconds)
        return None
