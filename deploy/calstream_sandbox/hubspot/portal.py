"""One HubSpot account: everything that the simulator remembers."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from calstream_sandbox.gate import Desk
from calstream_sandbox.hubspot.associations import AssociationGraph
from calstream_sandbox.hubspot.change_events import HUBSPOT, ChangeEvents
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.limits import RateLimits
from calstream_sandbox.hubspot.owners import DEFAULT_OWNERS, Owners
from calstream_sandbox.hubspot.properties import PropertyRegistry
from calstream_sandbox.hubspot.records import RecordStore
from calstream_sandbox.hubspot.search import SearchIndex
from calstream_sandbox.sender import WebhookSender


class PortalSettings(BaseModel):
    """What can be set while the simulator runs.

    Attributes:
        search_lag_seconds: how long a write stays invisible to search.
        requests_per_10_seconds: the burst limit of a private app on Pro or Enterprise.
        unique_properties_on_meetings: HubSpot documents none, so by default they are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    search_lag_seconds: float = Field(default=0.3, ge=0)
    requests_per_10_seconds: int = Field(default=190, ge=0)
    searches_per_second: int = Field(default=5, ge=0)
    requests_per_day: int = Field(default=625_000, ge=0)
    unique_properties_on_meetings: bool = False


class Portal:
    """The account's state. Used from one event loop; nothing here waits.

    Args:
        token: the bearer token that requests must carry.
        settings: what a reset goes back to.
        now_seconds: the clock, as seconds since 1970; a test's own moves as the test says.
        retry_scale: shortens the waits between the attempts of a webhook.
    """

    def __init__(
        self,
        *,
        token: str,
        settings: PortalSettings,
        now_seconds: Callable[[], float] = time.time,
        retry_scale: float = 1.0,
    ) -> None:
        self.token = token
        self.now_seconds = now_seconds
        self.desk = Desk(now_seconds)
        sender = WebhookSender(
            HUBSPOT,
            retry_scale=retry_scale,
            now=lambda: datetime.fromtimestamp(now_seconds(), UTC),
        )
        self.events = ChangeEvents(self.now_ms, sender)
        self._initial_settings = settings
        self.reset()

    def reset(self) -> None:
        """Back to a new account: no records, no custom properties, no faults, no counts."""
        settings = self._initial_settings
        self.settings = settings
        self.properties = PropertyRegistry()
        self.records = RecordStore()
        self.links = AssociationGraph()
        self.barred_emails: set[str] = set()
        self.index = SearchIndex()
        self.owners = Owners()
        for email, first_name, last_name in DEFAULT_OWNERS:
            self.owners.add(email, first_name, last_name, self.now_ms())
        self.limits = RateLimits(
            per_10_seconds=settings.requests_per_10_seconds,
            searches_per_second=settings.searches_per_second,
            per_day=settings.requests_per_day,
        )
        self.desk.clear()

    def wipe(self) -> None:
        """Removes every record and association; properties, owners and settings stay."""
        self.records.wipe()
        self.links.wipe()
        self.index.wipe()

    def apply_settings(self, settings: PortalSettings) -> None:
        """Puts new settings in force at once."""
        self.settings = settings
        self.limits.set_limits(
            per_10_seconds=settings.requests_per_10_seconds,
            searches_per_second=settings.searches_per_second,
            per_day=settings.requests_per_day,
        )

    def now_ms(self) -> int:
        """The time as epoch milliseconds."""
        return int(self.now_seconds() * 1000)

    def refresh_index(self) -> None:
        """Lets search see what is old enough."""
        self.index.catch_up(self.now_ms(), int(self.settings.search_lag_seconds * 1000))

    def unique_allowed(self, kind: ObjectKind) -> bool:
        """Whether custom properties of this kind may be unique."""
        return kind is ObjectKind.CONTACTS or self.settings.unique_properties_on_meetings
