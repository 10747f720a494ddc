"""Ids and whole webhooks: what wraps the data of a change for sending."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import orjson

from calstream_sandbox.calendar_live.body import envelope

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time of day, aware."""
    return datetime.now(UTC)


class IdSource:
    """Ids in calendar.live's style. The same seed gives the same ids in the same order.

    Without a seed they differ from run to run, as real ones do: a receiver that drops repeats
    would else take a second run for one.
    """

    def __init__(self, seed: str | None = None) -> None:
        self._seed = uuid4().hex if seed is None else seed
        self._numbers = count(1)

    def next(self, prefix: str, *, length: int = 10) -> str:
        """The next id, like `evt_01K9ZQ4M8R`."""
        text = f"{self._seed}/{prefix}/{next(self._numbers)}"
        digest = hashlib.sha256(text.encode()).digest()
        return f"{prefix}_{base64.b32encode(digest).decode()[:length]}"

    def uid(self, event_id: str) -> str:
        """An iCalendar UID for an event; the same for the same event."""
        return f"{uuid5(NAMESPACE_URL, f'{self._seed}/{event_id}')}@calendar.live"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook, not signed yet. `body` is the JSON object; `raw` is what goes on the wire."""

    id: str
    type: str
    body: dict[str, Any]

    @property
    def raw(self) -> bytes:
        """UTF-8 JSON, without blanks."""
        return orjson.dumps(self.body)


class WebhookBuilder:
    """Makes webhooks of one workspace, each with an `evt_` id of its own."""

    def __init__(
        self,
        workspace: str,
        *,
        ids: IdSource | None = None,
        now: Clock = utc_now,
        live_mode: bool = True,
    ) -> None:
        self.workspace = workspace
        self._ids = IdSource() if ids is None else ids
        self._now = now
        self._live_mode = live_mode

    def build(self, webhook_type: str, data: dict[str, Any]) -> Webhook:
        """Wraps the data of a change that was just made."""
        webhook_id = self._ids.next("evt")
        body = envelope(
            webhook_id,
            webhook_type,
            data,
            workspace=self.workspace,
            created_at=self._now(),
            live_mode=self._live_mode,
        )
        return Webhook(webhook_id, webhook_type, body)
