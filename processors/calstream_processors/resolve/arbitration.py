"""Who keeps the slot where two bookings overlap, by the workspace's policy. Pure."""

from calstream_processors.resolve.host_times import taken
from calstream_schemas.double_booking_rules import DoubleBookingRules, Policy
from calstream_schemas.double_bookings import (
    DoubleBooking,
    DoubleBookingState,
    Side,
    double_booking_id,
)
from calstream_schemas.observations import Observation

BOOKED_FIRST, PRIORITY = "booked_first", "priority"


def double_booking(
    one: Side, other: Side, rules: DoubleBookingRules, cause: Observation
) -> DoubleBooking:
    """The double booking of two that overlap: a function of the two and the rules alone.

    Args:
        one: one of the two.
        other: the other one; the order makes no difference.
        rules: the workspace's.
        cause: the observation that opened or changed it.
    """
    first, second = sorted((one, other), key=lambda side: side.key)
    keeper, rule = _keeper(first, second, rules)
    starts, ends = zip(taken(first, rules), taken(second, rules), strict=True)
    return DoubleBooking(
        id=double_booking_id(cause.workspace, first.key, second.key),
        workspace=cause.workspace,
        state=DoubleBookingState.OPEN,
        sides=(first, second),
        start=max(starts),
        end=min(ends),
        policy=rules.policy,
        keeper=keeper,
        rule=rule,
        ended_by=None,
        opened_by=cause.id,
        opened_at=cause.received_at,
        observation_id=cause.id,
        received_at=cause.received_at,
    )


def _keeper(one: Side, other: Side, rules: DoubleBookingRules) -> tuple[int | None, str | None]:
    if rules.policy is Policy.ALERT:
        return None, None
    if rules.policy is Policy.PRIORITY:
        places = rules.place(one.slot), rules.place(other.slot)
        if places[0] != places[1]:
            return places.index(min(places)), PRIORITY
    return (0 if _booked(one) <= _booked(other) else 1), BOOKED_FIRST


def _booked(side: Side) -> tuple[int, str]:
    return side.slot.booked_at, side.object
