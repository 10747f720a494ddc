"""The time that a booking takes of its host: what double bookings are found by.

It stands in front in a booking's record, so that the index of each host's time is restored without
reading the rest. It follows from the rest, nothing of it is personal, and it is written for those
bookings alone that take time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calstream_schemas.entities.model import Entity

BOOKING = "booking"
BUSY = ("held", "tentative", "confirmed")
"""The statuses in which a booking takes its host's time."""


LATEST = 253_000_000_000_000_000
"""In the year 9987: what ends later or begins before 1970 is a mistake, and takes no time."""

_RULES = "rules"  # what our own rules add was not booked by them


@dataclass(frozen=True, slots=True)
class Slot:
    """The time that one booking takes.

    Attributes:
        host: the host's id in the scheduling platform.
        start, end: microseconds, the end not included; never empty.
        status: one of `BUSY`.
        event_type, event_kind: as in the catalogue of fields, where they are known.
        booked_at: when the first system that tells of it first said something of it, microseconds.
    """

    host: str
    start: int
    end: int
    status: str
    event_type: str | None
    event_kind: str | None
    booked_at: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Which occurrence of which series a booking is, whether or not it takes time.

    Attributes:
        series: the natural id of the series, as text.
        recurrence_id: as its calendar names it.
    """

    series: str
    recurrence_id: str


def slot_of(entity: Entity) -> Slot | None:
    """The time that a booking takes; None where it takes none, or whose or when is unknown."""
    values = entity.values
    status, host = values.get("status"), values.get("host_id")
    start, end = values.get("start_at"), values.get("end_at")
    if (
        not isinstance(status, str)
        or status not in BUSY
        or not isinstance(host, str)
        or not isinstance(start, int)
        or not isinstance(end, int)
        or not 0 <= start < end <= LATEST
        or _is_gone(entity)
    ):
        return None
    event_type, event_kind = values.get("event_type"), values.get("event_kind")
    return Slot(
        host,
        start,
        end,
        status,
        event_type if isinstance(event_type, str) else None,
        event_kind if isinstance(event_kind, str) else None,
        _booked_at(entity),
    )


def occurrence_of(entity: Entity) -> Occurrence | None:
    """Which occurrence a booking is; None where it is of no series."""
    series, recurrence_id = entity.values.get("series_ref"), entity.values.get("recurrence_id")
    if isinstance(series, str) and isinstance(recurrence_id, str):
        return Occurrence(series, recurrence_id)
    return None


def _is_gone(entity: Entity) -> bool:
    """Whether the system whose word on the status counts has no object of it any more."""
    system = entity.decisions["status"].id.system
    return all(copy.gone for copy in entity.copies.values() if copy.id.system == system)


def _booked_at(entity: Entity) -> int:
    # what was said once and never changed keeps its time, so this is when the source made it,
    # whatever has changed since and in whatever order we heard of it
    first = min(
        register.changed_at
        for copy in entity.copies.values()
        if copy.role != _RULES
        for register in copy.registers.values()
        if not register.by_self
    )
    return min(max(first, 0), LATEST)


def slot_fields() -> list[dict[str, Any]]:
    """The fields of a booking's record that hold its time and its place in a series."""
    moment = {"type": "long", "logicalType": "timestamp-micros"}
    text = ["null", "string"]
    slot = {
        "type": "record",
        "name": "Slot",
        "doc": "The time that it takes of its host. Follows from the rest.",
        "fields": [
            {"name": "host", "type": "string"},
            {"name": "start", "type": moment},
            {"name": "end", "type": moment},
            {"name": "status", "type": "string"},
            {"name": "event_type", "type": text},
            {"name": "event_kind", "type": text},
            {"name": "booked_at", "type": moment, "doc": "When its source first told of it."},
        ],
    }
    occurrence = {
        "type": "record",
        "name": "Occurrence",
        "doc": "Which occurrence of which series it is. Follows from the rest.",
        "fields": [
            {"name": "series", "type": "string"},
            {"name": "recurrence_id", "type": "string"},
        ],
    }
    return [
        {"name": "slot", "type": ["null", slot], "default": None},
        {"name": "occurrence", "type": ["null", occurrence], "default": None},
    ]


def slot_to_avro(entity: Entity) -> dict[str, Any]:
    """The values of those fields; none for other kinds."""
    if entity.kind != BOOKING:
        return {}
    slot, occurrence = slot_of(entity), occurrence_of(entity)
    return {
        "slot": slot and {name: getattr(slot, name) for name in Slot.__slots__},
        "occurrence": occurrence
        and {"series": occurrence.series, "recurrence_id": occurrence.recurrence_id},
    }


def slot_from_avro(body: Mapping[str, Any]) -> tuple[Slot | None, Occurrence | None]:
    """What those fields hold; nothing in records of other kinds."""
    slot, occurrence = body.get("slot"), body.get("occurrence")
    return slot and Slot(**slot), occurrence and Occurrence(**occurrence)
