"""Ids and whole webhooks: what wraps the data of a change for sending."""

from dataclasses import dataclass
from typing import Any

import orjson

from calstream_sandbox.calendar_live.body import envelope
from calstream_sandbox.ids import Clock, IdSource, utc_now


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
