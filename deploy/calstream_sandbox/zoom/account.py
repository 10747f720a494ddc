"""One Zoom account: everything that the simulator remembers."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from calstream_sandbox.gate import Desk
from calstream_sandbox.ids import IdSource
from calstream_sandbox.sender import Practice, WebhookSender
from calstream_sandbox.zoom.errors import no_such_user
from calstream_sandbox.zoom.limits import Plan, RateLimits
from calstream_sandbox.zoom.signature import delivery_headers

TOKEN_SECONDS = 3600
ENDPOINT = "app"
_FIRST_NUMBER = 85_000_000_001  # eleven digits, as Zoom's

ZOOM = Practice(
    delays_seconds=(300.0, 1_200.0, 3_600.0),
    timeout_seconds=3.0,
    headers=lambda delivery, raw, _url, at: delivery_headers(
        delivery.secret, raw, int(at.timestamp())
    ),
    acknowledges=lambda status: status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT},
    retries=lambda _status: True,
)
Thing = dict[str, Any]


class Credentials(BaseModel):
    """The server-to-server app that tokens are given to."""

    model_config = ConfigDict(frozen=True)

    account_id: str = "acc-sandbox"
    client_id: str = "client-sandbox"
    client_secret: str = "secret-sandbox"


class AccountSettings(BaseModel):
    """What can be set while the simulator runs: the limits of the account's plan, Pro's at first.

    Attributes:
        token_seconds: how long an access token lives.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    light_per_second: int = Field(default=30, ge=0)
    medium_per_second: int = Field(default=20, ge=0)
    heavy_per_second: int = Field(default=10, ge=0)
    heavy_per_day: int = Field(default=30_000, ge=0)
    writes_per_host: int = Field(default=100, ge=0)
    registrations: int = Field(default=3, ge=0)
    status_changes: int = Field(default=10, ge=0)
    token_seconds: float = Field(default=TOKEN_SECONDS, ge=0)

    def plan(self) -> Plan:
        """The limits alone."""
        return Plan(**self.model_dump(exclude={"token_seconds"}))


@dataclass(slots=True)
class Held:
    """A meeting or a webinar with its registrants."""

    thing: Thing
    registrants: dict[str, Thing] = field(default_factory=dict)


class Account:
    """The account's state. Used from one event loop; nothing here waits.

    Args:
        credentials: of the app that asks.
        now_seconds: the clock, as seconds since 1970.
        retry_scale: shortens the waits between the attempts of a webhook.
    """

    def __init__(
        self,
        *,
        credentials: Credentials | None = None,
        now_seconds: Callable[[], float] = time.time,
        retry_scale: float = 1.0,
    ) -> None:
        self.credentials = credentials or Credentials()
        self._clock = now_seconds
        self._ahead_seconds = 0.0
        self.desk = Desk(self.now_seconds)
        self.sender = WebhookSender(ZOOM, retry_scale=retry_scale, now=self.now)
        self.ids = IdSource()
        self._numbers = count(_FIRST_NUMBER)
        self.reset()

    def reset(self) -> None:
        """Back to a new account: two hosts, no meetings, tokens, faults or counts."""
        self._ahead_seconds = 0.0
        self.settings = AccountSettings()
        self.limits = RateLimits(self.settings.plan())
        self.held: dict[int, Held] = {}
        self.users: dict[str, Thing] = {}
        self.tokens: dict[str, float] = {}
        for email, first, last in (
            ("dana@acme.example", "Dana", "Reyes"),
            ("lee@acme.example", "Lee", "Moss"),
        ):
            self.add_user(email, first, last)
        self.desk.clear()

    def apply_settings(self, settings: AccountSettings) -> None:
        """Puts new settings in force at once."""
        self.settings = settings
        self.limits.set_plan(settings.plan())

    def now_seconds(self) -> float:
        """The account's time, which the control can move ahead."""
        return self._clock() + self._ahead_seconds

    def now(self) -> datetime:
        """The same, aware."""
        return datetime.fromtimestamp(self.now_seconds(), UTC)

    def advance(self, seconds: float) -> None:
        """Moves the time ahead."""
        self._ahead_seconds += seconds

    def new_token(self) -> str:
        """An access token that is good from now on."""
        token = self.ids.next("tok", length=40)
        self.tokens[token] = self.now_seconds() + self.settings.token_seconds
        return token

    def new_number(self) -> int:
        """The id of a meeting or a webinar."""
        return next(self._numbers)

    def new_uuid(self) -> str:
        """An id like Zoom's of 22 characters."""
        digest = hashlib.sha256(self.ids.next("u", length=52).encode()).digest()
        return base64.b64encode(digest[:16]).decode()

    def add_user(self, email: str, first_name: str, last_name: str) -> Thing:
        """A host with a licence."""
        user: Thing = {
            "id": self.new_uuid().rstrip("=").replace("/", "_").replace("+", "-"),
            "account_id": self.credentials.account_id,
            "email": email,
            "first_name": first_name,
            "last_name": last_name,
            "display_name": f"{first_name} {last_name}",
            "type": 2,
            "status": "active",
            "timezone": "UTC",
        }
        self.users[email.lower()] = user
        return user

    def user(self, given: str) -> Thing:
        """A host by `me` (the account's first), id or e-mail; raises ZoomError."""
        if given == "me":
            return next(iter(self.users.values()))
        for email, user in self.users.items():
            if given in {user["id"], user["email"]} or given.lower() == email:
                return user
        raise no_such_user(given)

    def of_host(self, kind: str, host_id: str) -> Iterator[Held]:
        """The meetings or webinars of a host, oldest first."""
        return (
            each
            for each in self.held.values()
            if each.thing["kind"] == kind and each.thing["host_id"] == host_id
        )

    def emit(self, event: str, user: Thing, thing: Thing, **more: Any) -> None:
        """Sends an event to the app's endpoint, if it has shown that it is the app's."""
        if ENDPOINT not in self.sender.endpoints:
            return
        body = {
            "event": event,
            "event_ts": int(self.now_seconds() * 1000),
            "payload": {
                "account_id": self.credentials.account_id,
                "operator": user["email"],
                "operator_id": user["id"],
                "object": thing,
                **more,
            },
        }
        self.sender.submit(ENDPOINT, orjson.dumps(body))


def stamp(at: datetime) -> str:
    """A time as Zoom writes it: whole seconds, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
