"""The time that a booking takes of its host: what double bookings are found by.

It stands in front in the records of bookings and series, so that the index of each host's time is
restored without reading the rest. It follows from the rest, and nothing of it is personal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calstream_schemas.entities.model import Entity

BOOKING, SERIES = "booking", "series"

GONE = "gone"
"""In place of a status: the system whose word counts has no object of it any more."""

RECURRING = "recurring"
"""In place of a status: an occurrence of a series that is no booking yet."""

BUSY = ("held", "tentative", "confirmed", RECURRING)
"""The statuses in which something takes its host's time."""

ENDED = ("cancelled", GONE)
"""The statuses in which a booking will not take place."""


LATEST = 253_000_000_000_000_000
"""In the year 9987: what ends later or begins before 1970 is a mistake, and takes no time."""

_RULES = "rules"  # what our own rules add was not booked by them


@dataclass(frozen=True, slots=True)
class Slot:
    """The time of one booking, which takes it as long as its status is one of `BUSY`.

    Attributes:
        host: the host's id in the scheduling platform.
        start, end: microseconds, the end not included; never empty.
        status: as in the catalogue of fields, or `GONE` or `RECURRING`.
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

    @property
    def is_busy(self) -> bool:
        """Whether it takes its host's time."""
        return self.status in BUSY


@dataclass(frozen=True, slots=True)
class SeriesRule:
    """What a series says of its occurrences.

    Attributes:
        rrule, exdates: as in the catalogue of fields.
        timezone: the IANA zone in which they are meant.
        heard_at: when its source last said so, microseconds.
    """

    rrule: str
    exdates: tuple[str, ...]
    timezone: str
    heard_at: int


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
    """The time of a booking; None where it is empty, or whose or when is unknown."""
    values = entity.values
    status, host = values.get("status"), values.get("host_id")
    start, end = values.get("start_at"), values.get("end_at")
    if (
        not isinstance(status, str)
        or not isinstance(host, str)
        or not isinstance(start, int)
        or not isinstance(end, int)
        or not 0 <= start < end <= LATEST
    ):
        return None
    event_type, event_kind = values.get("event_type"), values.get("event_kind")
    return Slot(
        host,
        start,
        end,
        GONE if status in BUSY and _is_gone(entity) else status,
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


def series_rule_of(entity: Entity) -> SeriesRule | None:
    """What a series says of its occurrences; None where that is not whole."""
    values, decision = entity.values, entity.decisions.get("recurrence")
    rrule, timezone = values.get("rrule"), values.get("timezone")
    if decision is None or not isinstance(rrule, str) or not isinstance(timezone, str):
        return None
    copy, exdates = entity.copies[decision.id], values.get("exdates")
    if copy.gone:
        return None
    heard_at = copy.registers["recurrence"].modified_at
    return SeriesRule(rrule, exdates if isinstance(exdates, tuple) else (), timezone, heard_at)


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


def slot_fields(kind: str) -> list[dict[str, Any]]:
    """The fields of the records of a kind that hold this; none for kinds that take no time."""
    if kind == SERIES:
        return [{"name": "rule", "type": ["null", _SERIES_RULE], "default": None}]
    if kind != BOOKING:
        return []
    return [
        {"name": "slot", "type": ["null", _SLOT], "default": None},
        {"name": "occurrence", "type": ["null", _OCCURRENCE], "default": None},
    ]


_MOMENT = {"type": "long", "logicalType": "timestamp-micros"}
_SLOT = {
    "type": "record",
    "name": "Slot",
    "doc": "The time that it takes of its host. Follows from the rest.",
    "fields": [
        {"name": "host", "type": "string"},
        {"name": "start", "type": _MOMENT},
        {"name": "end", "type": _MOMENT},
        {"name": "status", "type": "string", "doc": "Its status, or gone."},
        {"name": "event_type", "type": ["null", "string"]},
        {"name": "event_kind", "type": ["null", "string"]},
        {"name": "booked_at", "type": _MOMENT, "doc": "When its source first told of it."},
    ],
}
_OCCURRENCE = {
    "type": "record",
    "name": "Occurrence",
    "doc": "Which occurrence of which series it is. Follows from the rest.",
    "fields": [
        {"name": "series", "type": "string"},
        {"name": "recurrence_id", "type": "string"},
    ],
}
_SERIES_RULE = {
    "type": "record",
    "name": "SeriesRule",
    "doc": "What it says of its occurrences. Follows from the rest.",
    "fields": [
        {"name": "rrule", "type": "string"},
        {"name": "exdates", "type": {"type": "array", "items": "string"}},
        {"name": "timezone", "type": "string"},
        {"name": "heard_at", "type": _MOMENT, "doc": "When its source last said so."},
    ],
}


def slot_to_avro(entity: Entity) -> dict[str, Any]:
    """The values of those fields."""
    if entity.kind == SERIES:
        return {"rule": _plain(series_rule_of(entity))}
    if entity.kind == BOOKING:
        return {"slot": _plain(slot_of(entity)), "occurrence": _plain(occurrence_of(entity))}
    return {}


def _plain(each: Slot | Occurrence | SeriesRule | None) -> dict[str, Any] | None:
    return None if each is None else {name: getattr(each, name) for name in each.__slots__}


def slot_from_avro(
    body: Mapping[str, Any],
) -> tuple[Slot | None, Occurrence | None, SeriesRule | None]:
    """What those fields hold; nothing in records of other kinds."""
    slot, occurrence, rule = body.get("slot"), body.get("occurrence"), body.get("rule")
    return (
        slot and Slot(**slot),
        occurrence and Occurrence(**occurrence),
        rule and SeriesRule(**rule | {"exdates": tuple(rule["exdates"])}),
    )
