"""Double bookings: two bookings that take the same time of one host. On the topic `conflicts`."""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from calstream_core.clock import to_iso
from calstream_core.errors import Code
from calstream_schemas import codec
from calstream_schemas.codec import Poison
from calstream_schemas.double_booking_rules import Policy
from calstream_schemas.entities.slot import Slot

RECORD = "DoubleBooking"
_NAMESPACE = uuid.UUID("9d0b2c74-61a3-5d6e-8d0b-2f6f0c2f7b58")


class DoubleBookingState(StrEnum):
    """Whether it stands."""

    OPEN = "open"
    CLEARED = "cleared"


class SlotKey(NamedTuple):
    """What takes a slot: a booking, or an occurrence of a series that is no booking yet."""

    kind: str
    id: str
    recurrence_id: str = ""

    def __str__(self) -> str:
        return "/".join(self) if self.recurrence_id else f"{self.kind}/{self.id}"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two bookings as it stood.

    Attributes:
        key: what it is.
        object: one of its natural ids, as text.
        slot: the time that it takes, without buffers.
    """

    key: SlotKey
    object: str
    slot: Slot


@dataclass(frozen=True, slots=True)
class DoubleBooking:
    """One double booking. Of one that is over, as it was when it stood.

    Attributes:
        id: see `double_booking_id`.
        sides: the two, in the order of their keys.
        start, end: the time that both take, with their buffers; microseconds.
        policy: the workspace's.
        keeper: which of the two keeps the slot, or None where people decide.
        rule: what decided that: `priority` or `booked_first`.
        ended_by: what ended it: a status, `moved`, `other_host`, `booked` (the occurrence is a
            booking now) or `rules`.
        opened_by, opened_at: the observation that opened it, and when that came in.
        observation_id, received_at: what opened, changed or ended it, and when that came in.
    """

    id: str
    workspace: str
    state: DoubleBookingState
    sides: tuple[Side, Side]
    start: int
    end: int
    policy: Policy
    keeper: int | None
    rule: str | None
    ended_by: str | None
    opened_by: str
    opened_at: int
    observation_id: str
    received_at: int

    @property
    def key(self) -> str:
        """The record's key: `workspace/double-booking/id`."""
        return f"{self.workspace}/double-booking/{self.id}"

    @property
    def host(self) -> str:
        """Whose time it is."""
        return self.sides[0].slot.host

    def other(self, key: SlotKey) -> SlotKey:
        """The other one of the two."""
        one, other = self.sides
        return other.key if one.key == key else one.key


def double_booking_id(workspace: str, one: SlotKey, other: SlotKey) -> str:
    """The id of a double booking of two: the same whenever they overlap, in whatever order."""
    first, second = sorted((one, other))
    return str(uuid.uuid5(_NAMESPACE, f"{workspace}/{first}/{second}"))


def encode_double_booking(found: DoubleBooking) -> bytes:
    """The value for `conflicts`; nothing of it is personal."""
    return codec.encode(
        RECORD,
        {
            "id": found.id,
            "workspace": found.workspace,
            "state": found.state,
            "ended_by": found.ended_by,
            "host": found.host,
            "start": found.start,
            "end": found.end,
            "policy": found.policy,
            "rule": found.rule,
            "keeps": found.keeper,
            "bookings": [_side_to_avro(side) for side in found.sides],
            "opened_by": found.opened_by,
            "opened_at": found.opened_at,
            "observation_id": found.observation_id,
            "received_at": found.received_at,
        },
    )


def decode_double_booking(raw: bytes) -> DoubleBooking | Poison:
    """Reads a value; never raises for what is in it."""
    decoded = codec.decode(raw, RECORD)
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    try:
        one, other = (_side(item, body["host"]) for item in body["bookings"])
        return DoubleBooking(
            id=body["id"],
            workspace=body["workspace"],
            state=DoubleBookingState(body["state"]),
            sides=(one, other),
            start=body["start"],
            end=body["end"],
            policy=Policy(body["policy"]),
            keeper=body["keeps"],
            rule=body["rule"],
            ended_by=body["ended_by"],
            opened_by=body["opened_by"],
            opened_at=body["opened_at"],
            observation_id=body["observation_id"],
            received_at=body["received_at"],
        )
    except ValueError as error:
        return Poison(raw, Code.RECORD_UNREADABLE, f"not a {RECORD}: {error!r}")


def _side_to_avro(side: Side) -> dict[str, Any]:
    slot = side.slot
    return {
        "kind": side.key.kind,
        "entity_id": side.key.id,
        "recurrence_id": side.key.recurrence_id or None,
        "object": side.object,
        "start": slot.start,
        "end": slot.end,
        "status": slot.status,
        "event_type": slot.event_type,
        "event_kind": slot.event_kind,
        "booked_at": slot.booked_at,
    }


def _side(item: dict[str, Any], host: str) -> Side:
    return Side(
        SlotKey(item["kind"], item["entity_id"], item["recurrence_id"] or ""),
        item["object"],
        Slot(
            host,
            item["start"],
            item["end"],
            item["status"],
            item["event_type"],
            item["event_kind"],
            item["booked_at"],
        ),
    )


def plain(found: DoubleBooking) -> dict[str, Any]:
    """As people and programs outside are shown it, times in ISO 8601."""
    return {
        "id": found.id,
        "state": found.state,
        "host_id": found.host,
        "start": to_iso(found.start),
        "end": to_iso(found.end),
        "policy": found.policy,
        "rule": found.rule,
        "keeps": None if found.keeper is None else found.sides[found.keeper].key.id,
        "bookings": [_plain_side(side) for side in found.sides],
    }


def _plain_side(side: Side) -> dict[str, Any]:
    slot = side.slot
    return {
        "kind": side.key.kind,
        "id": side.key.id,
        "recurrence_id": side.key.recurrence_id or None,
        "object": side.object,
        "start": to_iso(slot.start),
        "end": to_iso(slot.end),
        "status": slot.status,
        "event_type": slot.event_type,
        "event_kind": slot.event_kind,
        "booked_at": to_iso(slot.booked_at),
    }
