"""What passes with time: the entities that have an end, and when each is due.

It stands in front in an entity's record, so that the index of due times is restored without reading
the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from calstream_schemas.entities.model import Entity, Values


@dataclass(frozen=True, slots=True)
class Expiry:
    """How entities of a kind expire.

    Attributes:
        field: holds the instant after which they are of no use.
        status: the value of `status` that ends then.
        becomes: the values of the group `status` afterwards.
    """

    field: str
    status: str
    becomes: Values


EXPIRIES: Mapping[str, Expiry] = MappingProxyType(
    {
        # what calendar.live's `hold.released` says of a hold that expired
        "booking": Expiry(
            "hold_expires_at",
            "held",
            {"status": "cancelled", "cancellation": '{"reason":"expired"}'},
        ),
        "message": Expiry("not_after", "due", {"status": "expired"}),
    }
)
"""By kind."""


def expires_at(entity: Entity) -> int | None:
    """When an entity expires, microseconds; None where it does not, or has already."""
    expiry = EXPIRIES.get(entity.kind)
    if expiry is None or entity.values.get("status") != expiry.status:
        return None
    if entity.copies[entity.decisions["status"].id].gone:
        return None  # a hold that was confirmed: its event is on its way
    instant = entity.values.get(expiry.field)
    return instant if isinstance(instant, int) else None


def due_fields(microseconds: Any) -> list[dict[str, Any]]:
    """The fields of an entity's record that tell when it is due."""
    return [
        {
            "name": "expires_at",
            "type": ["null", microseconds],
            "doc": "When its status ends by itself. Follows from the rest.",
            "default": None,
        },
        {
            "name": "deleted_at",
            "type": ["null", microseconds],
            "doc": "Since when no system has it any more.",
            "default": None,
        },
    ]
