"""What a workspace's settings ask of double bookings, checked, as the part of the rule set."""

from collections.abc import Iterator, Mapping

from calstream_core.settings.model import BufferSettings, DoubleBookingSettings
from calstream_processors.resolve.closest import closest
from calstream_schemas.double_booking_rules import (
    PRIORITY_FIELDS,
    Buffer,
    DoubleBookingRules,
    Policy,
)
from calstream_schemas.entities.slot import BUSY

_VALUES = {"event_kind": ("one_to_one", "group", "webinar"), "status": BUSY}


def double_booking_rules_of(asked: DoubleBookingSettings) -> DoubleBookingRules:
    """The part of the rule set."""
    return DoubleBookingRules(
        policy=Policy(asked.policy),
        priority=asked.priority,
        event_types=_buffers(asked.event_types),
        hosts=_buffers(asked.hosts),
        horizon_days=asked.horizon_days,
    )


def double_booking_faults(asked: DoubleBookingSettings) -> Iterator[str]:
    """What is wrong with it: each fault below the workspace's rules."""
    for line in asked.priority:
        name, _, value = line.partition("=")
        place = f"double_booking.priority: {line!r}"
        if name not in PRIORITY_FIELDS or not value:
            yield f"{place} must be FIELD=VALUE; FIELD is one of {', '.join(PRIORITY_FIELDS)}"
        elif name in _VALUES and value not in _VALUES[name]:
            yield f"{place}: there is no {name} {value!r}{closest(value, _VALUES[name])}"
    for twice in sorted({each for each in asked.priority if asked.priority.count(each) > 1}):
        yield f"double_booking.priority: {twice} stands twice"
    if asked.policy == "priority" and not asked.priority:
        yield "double_booking.priority: the policy needs at least one line"


def _buffers(asked: Mapping[str, BufferSettings]) -> dict[str, Buffer]:
    return {name: Buffer(its.before_minutes, its.after_minutes) for name, its in asked.items()}
