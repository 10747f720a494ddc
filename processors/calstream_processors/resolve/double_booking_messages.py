"""What is told of double bookings: a message to ops, and a webhook for whoever arbitrates. Pure.

Both are messages that a sink sends once. One observation makes one of each at most, whatever number
of bookings it lies over. They are withdrawn when nothing of what they tell of stands any more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from calstream_core.clock import to_iso
from calstream_processors.resolve.consequences import SYSTEM, Change, said_by_rules
from calstream_processors.resolve.workspace_state import WorkspaceState
from calstream_schemas.double_bookings import DoubleBooking, DoubleBookingState, plain
from calstream_schemas.entities import NaturalId, Stamp, Values
from calstream_schemas.entities.slot import BOOKING
from calstream_schemas.observations import ABOUT_RULES, NO_VERSION, Observation, Statement
from calstream_schemas.rule_sets import RuleSet

KIND = "message"
WEBHOOK_TYPE = "booking.double_booked"
MOST_TOLD = 10
"""Double bookings that one message lists; of more it tells the number."""

_AUDIENCES: Mapping[str, str] = {"ops": "conflict", "endpoint": "arbitration"}
"""The kind of message by who gets it."""


def double_booking_messages(
    state: WorkspaceState, _changes: Sequence[Change], _rules: RuleSet
) -> Iterator[Observation]:
    """Draws the messages about double bookings that came or went. A `Consequence`."""
    outcome = state.double_bookings.outcome
    if outcome is None:
        return
    cause = outcome.cause
    opened = [each for each in outcome.found if _is_new(each)]
    # nobody is told of what only other rules make of bookings that stood, or of what is past
    if opened and cause.fact not in ABOUT_RULES:
        not_after = max(each.end for each in opened)
        if not_after > cause.received_at:
            yield from _told(cause, opened, not_after)
    for opened_by, opened_at in sorted(_let_go(state, outcome.found)):
        yield from _withdrawn(state, cause, opened_by, opened_at)


def message_object(opened_by: str, audience: str) -> NaturalId:
    """What the rules call a message about the double bookings that an observation opened."""
    return NaturalId(SYSTEM, KIND, f"double_booking/{opened_by}/{audience}")


def _is_new(found: DoubleBooking) -> bool:
    return found.state is DoubleBookingState.OPEN and found.opened_by == found.observation_id


def _told(
    cause: Observation, opened: Sequence[DoubleBooking], not_after: int
) -> Iterator[Observation]:
    data = {
        "workspace": cause.workspace,
        "count": len(opened),
        "double_bookings": [plain(each) for each in opened[:MOST_TOLD]],
    }
    webhook = {"type": WEBHOOK_TYPE, "timestamp": to_iso(cause.received_at), "data": data}
    for audience, kind in _AUDIENCES.items():
        content = webhook if audience == "endpoint" else data
        groups: dict[str, Values] = {
            "purpose": {"message_kind": kind, "audience": audience},
            "recipient": {"contact_ref": None, "recipient": None},
            "booking": {"booking_ref": _later(opened[0])},
            "content": {"content": orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()},
            "deadline": {"not_after": not_after},
            "status": {"status": "due"},
        }
        natural_id = message_object(cause.id, audience)
        yield said_by_rules(cause, KIND, natural_id, _statements(groups, cause.received_at))


def _let_go(state: WorkspaceState, found: Sequence[DoubleBooking]) -> set[tuple[str, int]]:
    """Which observations' double bookings are all over."""
    cleared = [each for each in found if each.state is DoubleBookingState.CLEARED]
    return {
        (each.opened_by, each.opened_at)
        for each in cleared
        if not state.double_bookings.is_open(each.opened_by)
    }


def _withdrawn(
    state: WorkspaceState, cause: Observation, opened_by: str, opened_at: int
) -> Iterator[Observation]:
    for audience in _AUDIENCES:
        natural_id = message_object(opened_by, audience)
        if state.index.find(KIND, natural_id) is not None:
            # later than what it takes back, also where what ends it came in before and was held up
            at = max(cause.received_at, opened_at + 1)
            statements = _statements({"status": {"status": "withdrawn"}}, at)
            drawn = said_by_rules(cause, KIND, natural_id, statements)
            yield replace(drawn, received_at=at)


def _statements(groups: Mapping[str, Values], at: int) -> list[Statement]:
    stamp = Stamp(NO_VERSION, at, by_self=False)
    return [Statement(group, values, stamp) for group, values in groups.items()]


def _later(found: DoubleBooking) -> str | None:
    """The booking that gives way, or else came later; None where it is none yet."""
    one, other = found.sides
    if found.keeper is not None:
        side = found.sides[1 - found.keeper]
    else:
        side = max(one, other, key=lambda each: (each.slot.booked_at, each.object))
    return side.object if side.key.kind == BOOKING else None
