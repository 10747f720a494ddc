"""Zoom's rate limits: by category and second, and caps by day that end at midnight UTC."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from calstream_sandbox.windows import RollingWindow
from calstream_sandbox.zoom.errors import too_many


class Category(StrEnum):
    """What a call weighs."""

    LIGHT = "Light"
    MEDIUM = "Medium"
    HEAVY = "Heavy"


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of an account.

    Attributes:
        per_second: by category; Pro's by default.
        heavy_per_day: heavy calls of the account.
        writes_per_host: creates and updates of one host in a day, of meetings and webinars alike.
        registrations: of one registrant for one meeting in a day.
        status_changes: of one registrant in a day.
    """

    light_per_second: int = 30
    medium_per_second: int = 20
    heavy_per_second: int = 10
    heavy_per_day: int = 30_000
    writes_per_host: int = 100
    registrations: int = 3
    status_changes: int = 10


class RateLimits:
    """What an account has used."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._windows = {category: RollingWindow(0, 1) for category in Category}
        self._day = ""
        self._used: Counter[tuple[str, ...]] = Counter()
        self.set_plan(plan)

    def set_plan(self, plan: Plan) -> None:
        """Changes the limits; what was counted stays counted."""
        self.plan = plan
        self._windows[Category.LIGHT].limit = plan.light_per_second
        self._windows[Category.MEDIUM].limit = plan.medium_per_second
        self._windows[Category.HEAVY].limit = plan.heavy_per_second

    def take(self, category: Category, now_seconds: float) -> dict[str, str]:
        """Counts a call; the headers of its reply.

        Raises:
            ZoomError: it is one too many in this second, or today.
        """
        window = self._windows[category]
        if not window.take(now_seconds):
            headers = self._headers(category, "QPS", window.limit, 0)
            headers["X-RateLimit-Reset"] = str(int(now_seconds) + 1)
            message = (
                "You have reached the maximum per-second rate limit for this API. Try again later."
            )
            raise too_many(message, headers)
        if category is Category.HEAVY:
            self.take_daily(
                ("heavy",), self.plan.heavy_per_day, category, now_seconds, "heavy API requests"
            )
        return self._headers(category, "QPS", window.limit, window.remaining(now_seconds))

    def take_daily(
        self, what: tuple[str, ...], limit: int, category: Category, now_seconds: float, words: str
    ) -> None:
        """Counts one of what has a cap by day.

        Raises:
            ZoomError: it is one too many today. `Retry-After` is the midnight to come, as a time.
        """
        now = datetime.fromtimestamp(now_seconds, UTC)
        today = now.date().isoformat()
        if today != self._day:
            self._day = today
            self._used.clear()
        if self._used[what] >= limit:
            midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
            headers = self._headers(category, "Daily-limit", limit, 0)
            headers["Retry-After"] = midnight.strftime("%Y-%m-%dT%H:%M:%SZ")
            message = (
                f"You have exceeded the daily rate limit ({limit}) of {words}. You may resend "
                "this request at GMT 00:00:00."
            )
            raise too_many(message, headers)
        self._used[what] += 1

    @staticmethod
    def _headers(category: Category, kind: str, limit: int, remaining: int) -> dict[str, str]:
        return {
            "X-RateLimit-Category": category.value,
            "X-RateLimit-Type": kind,
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(remaining),
        }
