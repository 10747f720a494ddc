"""One Stripe account: everything that the simulator remembers."""

import copy
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from calstream_sandbox.delivery_log import Delivery, DeliveryState
from calstream_sandbox.gate import Desk
from calstream_sandbox.ids import IdSource
from calstream_sandbox.sender import Endpoint, Practice, WebhookSender
from calstream_sandbox.stripe.errors import missing
from calstream_sandbox.stripe.idempotency import IdempotencyKeys
from calstream_sandbox.stripe.limits import RateLimits
from calstream_sandbox.stripe.signature import delivery_headers

API_VERSION = "2026-08-26.dahlia"
EVENT_DAYS = 30
_DAY_SECONDS = 86_400
_ID_CHARACTERS = 24

STRIPE = Practice(
    delays_seconds=(300.0, 3_600.0, 7_200.0),  # a sandbox's: three more within a few hours
    timeout_seconds=20.0,
    headers=lambda delivery, raw, _url, at: delivery_headers(
        delivery.secret, raw, int(at.timestamp())
    ),
    acknowledges=lambda status: 200 <= status < 300,  # noqa: PLR2004 - the class of statuses
    retries=lambda _status: True,
)
Thing = dict[str, Any]


class AccountSettings(BaseModel):
    """What can be set while the simulator runs.

    Attributes:
        requests_per_second: of the account; 25 in a sandbox, 100 live.
        endpoint_requests_per_second: of one call.
        processing_seconds: how long each POST takes, its idempotency key in use meanwhile.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: int = Field(default=25, ge=0)
    endpoint_requests_per_second: int = Field(default=25, ge=0)
    processing_seconds: float = Field(default=0.0, ge=0)


class Account:
    """The account's state. Used from one event loop; nothing here waits.

    Args:
        key: the secret key that requests must carry.
        now_seconds: the clock, as seconds since 1970.
        retry_scale: shortens the waits between the attempts of a webhook.

    Attributes:
        request: what is being carried out, for the events that it causes.
    """

    def __init__(
        self,
        *,
        key: str,
        now_seconds: Callable[[], float] = time.time,
        retry_scale: float = 1.0,
    ) -> None:
        self.key = key
        self._clock = now_seconds
        self._ahead_seconds = 0.0
        self.desk = Desk(self.now_seconds)
        self.sender = WebhookSender(
            STRIPE,
            retry_scale=retry_scale,
            now=lambda: datetime.fromtimestamp(self.now_seconds(), UTC),
        )
        self.ids = IdSource()
        self.request: dict[str, str | None] = {"id": None, "idempotency_key": None}
        self.reset()

    def reset(self) -> None:
        """Back to a new account: no objects, keys, faults or counts. Endpoints stay."""
        self._ahead_seconds = 0.0
        self.settings = AccountSettings()
        self.things: dict[str, dict[str, Thing]] = {}
        self.keys = IdempotencyKeys()
        self.limits = RateLimits(self.settings.requests_per_second, 0)
        self.apply_settings(self.settings)
        self._deliveries: dict[str, list[Delivery]] = {}
        self.desk.clear()

    def apply_settings(self, settings: AccountSettings) -> None:
        """Puts new settings in force at once."""
        self.settings = settings
        self.limits.set_limits(settings.requests_per_second, settings.endpoint_requests_per_second)

    def now_seconds(self) -> float:
        """The account's time, which the control can move ahead."""
        return self._clock() + self._ahead_seconds

    def advance(self, seconds: float) -> None:
        """Moves the time ahead."""
        self._ahead_seconds += seconds

    def now(self) -> int:
        """The time in whole seconds since 1970."""
        return int(self.now_seconds())

    def new_id(self, prefix: str) -> str:
        """An id like Stripe's."""
        return self.ids.next(prefix, length=_ID_CHARACTERS)

    def add(self, thing: Thing) -> Thing:
        """Stores an object under its id."""
        self.things.setdefault(thing["object"], {})[thing["id"]] = thing
        return thing

    def all(self, kind: str) -> list[Thing]:
        """Every object of a kind, oldest first."""
        return list(self.things.get(kind, {}).values())

    def find(self, kind: str, given: str, param: str, *, status: int = 404) -> Thing:
        """An object by its id; raises StripeError with this status where there is none."""
        thing = self.things.get(kind, {}).get(given)
        if thing is None:
            raise missing(kind, given, param, status=status)
        return thing

    def emit(self, kind: str, thing: Thing) -> None:
        """Makes an event of an object as it is now, and sends it to every endpoint."""
        event = self.add(
            {
                "id": self.new_id("evt"),
                "object": "event",
                "api_version": API_VERSION,
                "created": self.now(),
                "data": {"object": copy.deepcopy(thing)},
                "livemode": False,
                "pending_webhooks": len(self.sender.endpoints),
                "request": dict(self.request),
                "type": kind,
            }
        )
        raw = orjson.dumps(event, option=orjson.OPT_INDENT_2)  # as Stripe sends it
        self._deliveries[event["id"]] = [
            self.sender.submit(name, raw, delivery_id=event["id"]) for name in self.sender.endpoints
        ]

    def events(self) -> list[Thing]:
        """The events of the last 30 days, with how many webhooks are still to be delivered."""
        oldest = self.now() - EVENT_DAYS * _DAY_SECONDS
        found = [event for event in self.all("event") if event["created"] >= oldest]
        return [event | {"pending_webhooks": self._pending(event["id"])} for event in found]

    def delivered(self, event_id: str) -> bool:
        """Whether every endpoint has taken an event."""
        return all(
            each.state is DeliveryState.DELIVERED for each in self._deliveries.get(event_id, [])
        )

    def redeliver(self, event_id: str) -> list[Delivery]:
        """Sends an event again to every endpoint that it went to."""
        deliveries = self._deliveries.get(event_id, [])
        for delivery in deliveries:
            self.sender.redeliver(delivery)
        return deliveries

    def add_endpoint(self, url: str, secret: str) -> str:
        """Has every event sent to an address from now on; gives the endpoint's id."""
        name = self.new_id("we")
        self.sender.endpoints[name] = Endpoint(url, secret)
        return name

    def _pending(self, event_id: str) -> int:
        return sum(
            each.state is DeliveryState.PENDING for each in self._deliveries.get(event_id, [])
        )
