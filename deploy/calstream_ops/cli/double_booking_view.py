"""How commands show double bookings."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from calstream_ops.cli.terminal import table
from calstream_ops.inspection.times import readable
from calstream_schemas.double_bookings import DoubleBooking, plain

_HEADINGS = ("host", "from", "to", "booking", "and", "state", "keeps the slot", "by")


def shown_double_booking(found: DoubleBooking) -> dict[str, Any]:
    """As JSON has it."""
    return plain(found) | {
        "ended_by": found.ended_by,
        "since": readable(found.opened_at),
        "changed_at": readable(found.received_at),
    }


def double_booking_table(shown: Iterable[dict[str, Any]]) -> Table:
    """A line for each, of those that `shown_double_booking` gave."""
    return table(_HEADINGS, (_row(each) for each in shown))


def _row(found: dict[str, Any]) -> list[object]:
    one, other = (
        f"{each['object']} ({', '.join(filter(None, (each['status'], each['event_type'])))})"
        for each in found["bookings"]
    )
    keeper = next((b["object"] for b in found["bookings"] if b["id"] == found["keeps"]), None)
    state = f"{found['state']}: {found['ended_by']}" if found["ended_by"] else found["state"]
    return [
        found["host_id"],
        found["start"],
        found["end"],
        one,
        other,
        state,
        keeper,
        found["rule"],
    ]
