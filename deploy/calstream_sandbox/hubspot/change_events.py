"""Webhooks of an app that is installed in the portal: what changed, up to 100 events at once."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import count
from typing import Any

import orjson

from calstream_sandbox.delivery_log import Delivery
from calstream_sandbox.hubspot.definitions import MODIFIED
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.signature import delivery_headers
from calstream_sandbox.sender import Endpoint, Practice, WebhookSender

APP = "app"
MAX_EVENTS = 100
PORTAL_ID = 62_515
APP_ID = 54_321
BY_API = ("INTEGRATION", str(APP_ID))
BY_PERSON = ("CRM_UI", "userId:9586504")
_SUBSCRIPTIONS = ("creation", "propertyChange", "deletion", "privacyDeletion")


def _with_attempt(delivery: Delivery) -> bytes:
    """The body of the next attempt: each event tells its number."""
    events = orjson.loads(delivery.raw_body)
    number = len(delivery.attempts)
    return orjson.dumps([event | {"attemptNumber": number} for event in events])


HUBSPOT = Practice(
    # ten more within a day
    delays_seconds=(60, 300, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 18_000, 28_800),
    timeout_seconds=5.0,
    headers=lambda delivery, raw, url, at: delivery_headers(
        delivery.secret, url, raw, int(at.timestamp() * 1000)
    ),
    acknowledges=lambda status: status < HTTPStatus.MULTIPLE_CHOICES,
    retries=lambda status: status >= HTTPStatus.BAD_REQUEST,
    body=_with_attempt,
)


class ChangeEvents:
    """Collects what changed, and sends it where the app wants it. Nothing before there is an app.

    Attributes:
        source: who is changing things now: `changeSource` and `sourceId` of the events.

    Args:
        now_ms: the portal's clock.
        sender: sends as HubSpot does.
    """

    def __init__(self, now_ms: Callable[[], int], sender: WebhookSender) -> None:
        self._now_ms = now_ms
        self.sender = sender
        self.source = BY_API
        self._event_ids = count(3_816_279_340)
        self._waiting: list[dict[str, Any]] = []

    def install(self, url: str, secret: str) -> None:
        """Has every change sent to an address from now on."""
        self.sender.endpoints[APP] = Endpoint(url, secret)

    def note(
        self,
        kind: ObjectKind,
        object_id: int,
        before: Mapping[str, str] | None,
        after: Mapping[str, str] | None,
    ) -> None:
        """Takes down one write: None before is a new record, None after an archived one."""
        if APP not in self.sender.endpoints:
            return
        if before is None:
            self._add(kind, "creation", object_id, changeFlag="CREATED")
        if after is None:
            self._add(kind, "deletion", object_id, changeFlag="DELETED")
            return
        old = before or {}
        for name in sorted({*old, *after}):
            if old.get(name) != after.get(name) and name != MODIFIED[kind]:
                self._add(
                    kind,
                    "propertyChange",
                    object_id,
                    propertyName=name,
                    propertyValue=after.get(name, ""),
                )

    def note_purge(self, kind: ObjectKind, object_id: int) -> None:
        """Takes down that a record was deleted for ever."""
        if APP in self.sender.endpoints:
            self._add(kind, "privacyDeletion", object_id)

    def flush(self) -> None:
        """Sends what waits, in portions."""
        waiting, self._waiting = self._waiting, []
        if APP not in self.sender.endpoints:
            return  # the app was taken away meanwhile
        for start in range(0, len(waiting), MAX_EVENTS):
            self.sender.submit(APP, orjson.dumps(waiting[start : start + MAX_EVENTS]))

    def _add(self, kind: ObjectKind, what: str, object_id: int, **more: Any) -> None:
        is_contact = kind is ObjectKind.CONTACTS
        change_source, source_id = self.source
        event = {
            "eventId": next(self._event_ids),
            "subscriptionId": 1000 + _SUBSCRIPTIONS.index(what) + (0 if is_contact else 10),
            "portalId": PORTAL_ID,
            "appId": APP_ID,
            "occurredAt": self._now_ms(),
            "subscriptionType": f"contact.{what}" if is_contact else f"object.{what}",
            "attemptNumber": 0,
            "objectId": object_id,
            "changeSource": change_source,
            "sourceId": source_id,
            **more,
        }
        if not is_contact:
            event["objectTypeId"] = kind.type_id
        if not self._waiting:  # what one call changes goes together
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(event)
