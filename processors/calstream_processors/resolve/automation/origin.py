"""Which CRM made a booking: its id there is kept until calendar.live has the booking too. Pure."""

from collections.abc import Iterator, Sequence

from calstream_processors.resolve.automation.word import news
from calstream_processors.resolve.consequences import Change
from calstream_processors.resolve.copies import PROVISIONAL
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.entities import Entity, NaturalId
from calstream_schemas.observations import Observation
from calstream_schemas.rule_sets import CRM, RuleSet


def origins(
    _state: WorkspaceState, changes: Sequence[Change], _rules: RuleSet
) -> Iterator[Observation]:
    """Draws where bookings come from that only a CRM has. A `Consequence`."""
    for change in changes:
        booking = change.after
        if booking.kind != "booking" or booking.values.get("uid") is not None:
            continue
        made = _made_in_crm(booking)
        if made is not None:
            origin = {"origin_system": made.system, "origin_id": made.object_id}
            yield from news(change.cause, booking, {"origin": origin})


def _made_in_crm(booking: Entity) -> NaturalId | None:
    spoken = (
        copy.id
        for copy in booking.copies.values()
        if copy.role == CRM
        and not copy.id.object_id.startswith(PROVISIONAL)
        and any(not register.by_self for register in copy.registers.values())
    )
    return min(spoken, default=None)
