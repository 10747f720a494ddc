"""The delivery log: what was sent, how often, and what came of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson

KEPT = timedelta(days=30)
MAX_KEPT = 50_000  # finished deliveries; the demo and the benches send many


def stamp(time: datetime) -> str:
    """A moment in UTC, with three decimals and a Z."""
    text = time.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


class DeliveryState(StrEnum):
    """How a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request: its HTTP status, or what stood in the way of one."""

    at: datetime
    status: int | None
    error: str | None
    seconds: float

    def reply(self) -> dict[str, Any]:
        """The attempt as the log gives it."""
        return {
            "at": stamp(self.at),
            "status": self.status,
            "error": self.error,
            "seconds": round(self.seconds, 6),
        }


@dataclass(slots=True, eq=False)
class Delivery:
    """One delivery id with everything that was done for it. Copies of it are runs of their own."""

    id: str
    workspace: str
    raw_body: bytes
    secret: str
    created_at: datetime
    attempts: list[Attempt] = field(default_factory=list)
    next_attempts: dict[int, datetime] = field(default_factory=dict)
    open_runs: int = 0
    state: DeliveryState = DeliveryState.PENDING

    def reply(self) -> dict[str, Any]:
        """The delivery as the log gives it."""
        event_id, event_type = _identity(self.raw_body)
        due = min(self.next_attempts.values(), default=None)
        return {
            "id": self.id,
            "workspace": self.workspace,
            "event_id": event_id,
            "type": event_type,
            "status": self.state.value,
            "created_at": stamp(self.created_at),
            "attempts": [attempt.reply() for attempt in self.attempts],
            "next_attempt_at": None if due is None else stamp(due),
        }


class DeliveryLog:
    """Deliveries in the order they were made; finished ones leave after 30 days."""

    def __init__(self) -> None:
        self._kept: list[Delivery] = []

    def add(self, delivery: Delivery) -> None:
        """Appends a delivery, and drops finished ones that are too old or too many."""
        self._kept.append(delivery)
        oldest = self._kept[0]
        if len(self._kept) > MAX_KEPT or oldest.created_at + KEPT < delivery.created_at:
            self._drop_finished(delivery.created_at - KEPT)

    def find(self, delivery_id: str) -> Delivery | None:
        """The newest delivery with this id."""
        return next((one for one in reversed(self._kept) if one.id == delivery_id), None)

    def select(
        self,
        *,
        since: datetime | None = None,
        state: DeliveryState | None = None,
        workspace: str | None = None,
    ) -> list[Delivery]:
        """The deliveries made since then, in this state, of this workspace; oldest first."""
        return [
            one
            for one in self._kept
            if (since is None or one.created_at >= since)
            and state in {None, one.state}
            and workspace in {None, one.workspace}
        ]

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()

    def _drop_finished(self, before: datetime) -> None:
        room = MAX_KEPT * 9 // 10  # some room at once, so that the next ones cost nothing
        surplus = len(self._kept) - room if len(self._kept) > MAX_KEPT else 0
        self._kept = [
            one
            for place, one in enumerate(self._kept)
            if one.state is DeliveryState.PENDING or (place >= surplus and one.created_at >= before)
        ]


def _identity(raw_body: bytes) -> tuple[str | None, str | None]:
    """The webhook's id and type, where the body is a JSON object that has them."""
    try:
        body = orjson.loads(raw_body)
    except orjson.JSONDecodeError:
        return None, None
    if not isinstance(body, dict):
        return None, None
    found = [body.get("id"), body.get("type", body.get("event"))]
    event_id, event_type = (one if isinstance(one, str) else None for one in found)
    return event_id, event_type
