"""The rate limits of an account."""

from calstream_sandbox.windows import RollingWindow

_DAY_SECONDS = 86_400
_BURST_SECONDS = 10
_INTERVAL_MS = _BURST_SECONDS * 1000


class RateLimits:
    """The limits of one account and app. Search has a limit of its own and no headers."""

    def __init__(self, *, per_10_seconds: int, searches_per_second: int, per_day: int) -> None:
        self._burst = RollingWindow(per_10_seconds, _BURST_SECONDS)
        self._search = RollingWindow(searches_per_second, 1)
        self._day = RollingWindow(per_day, _DAY_SECONDS)

    def set_limits(self, *, per_10_seconds: int, searches_per_second: int, per_day: int) -> None:
        """Changes the limits; what was counted stays counted."""
        self._burst.limit = per_10_seconds
        self._search.limit = searches_per_second
        self._day.limit = per_day

    def refusal(self, now_seconds: float, *, search: bool) -> str | None:
        """Counts a request; the name of the policy that refuses it, or None."""
        window, policy = (
            (self._search, "SECONDLY") if search else (self._burst, "TEN_SECONDLY_ROLLING")
        )
        if self._day.remaining(now_seconds) <= 0:
            return "DAILY"
        if not window.take(now_seconds):
            return policy
        self._day.take(now_seconds)
        return None

    def headers(self, now_seconds: float) -> list[tuple[bytes, bytes]]:
        """The rate-limit headers of a reply that is not a search."""
        numbers = {
            b"x-hubspot-ratelimit-max": self._burst.limit,
            b"x-hubspot-ratelimit-remaining": max(0, self._burst.remaining(now_seconds)),
            b"x-hubspot-ratelimit-interval-milliseconds": _INTERVAL_MS,
            b"x-hubspot-ratelimit-daily": self._day.limit,
            b"x-hubspot-ratelimit-daily-remaining": max(0, self._day.remaining(now_seconds)),
        }
        return [(name, str(number).encode()) for name, number in numbers.items()]
