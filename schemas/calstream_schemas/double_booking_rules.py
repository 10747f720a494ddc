"""What a workspace's rules say of double bookings: buffers, who keeps the slot, how far ahead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from calstream_schemas.entities.slot import Slot

PRIORITY_FIELDS = ("event_type", "event_kind", "status")
"""By what a line of the priority may name bookings."""


class Policy(StrEnum):
    """Who keeps the slot where two bookings overlap."""

    ALERT = "alert"  # nobody decides but people
    FIRST_WINS = "first_wins"  # whoever was booked first, by the source's time
    PRIORITY = "priority"  # whoever comes first in the priority; of equals the first booked


@dataclass(frozen=True, slots=True)
class Buffer:
    """Time around a booking that its host is not free either."""

    before_minutes: int = 0
    after_minutes: int = 0


_NONE = Buffer()


@dataclass(frozen=True)
class DoubleBookingRules:
    """The part of a rule set that is about double bookings.

    Attributes:
        policy: who keeps the slot.
        priority: lines such as `event_type=board`, the most important first. A booking has the
            place of the first line that fits it; those that fit none come last.
        event_types, hosts: buffers by the slug of the event type and by the host's id. Where both
            have one, the longer counts, before and after.
        horizon_days: how far ahead occurrences of a series count that are no bookings yet.
    """

    policy: Policy = Policy.ALERT
    priority: tuple[str, ...] = ()
    event_types: Mapping[str, Buffer] = field(default_factory=dict)
    hosts: Mapping[str, Buffer] = field(default_factory=dict)
    horizon_days: int = 90

    def buffer(self, slot: Slot) -> Buffer:
        """The time around a booking that counts as taken."""
        if not self.event_types and not self.hosts:
            return _NONE
        of_type = self.event_types.get(slot.event_type or "", _NONE)
        of_host = self.hosts.get(slot.host, _NONE)
        return Buffer(
            max(of_type.before_minutes, of_host.before_minutes),
            max(of_type.after_minutes, of_host.after_minutes),
        )

    def place(self, slot: Slot) -> int:
        """A booking's place in the priority; smaller goes first."""
        for place, line in enumerate(self.priority):
            name, _, value = line.partition("=")
            if getattr(slot, name) == value:
                return place
        return len(self.priority)

    def as_json(self) -> dict[str, Any]:
        """For the rule set's own form."""
        return {
            "policy": self.policy,
            "priority": self.priority,
            "event_types": _plain(self.event_types),
            "hosts": _plain(self.hosts),
            "horizon_days": self.horizon_days,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "DoubleBookingRules":
        """The inverse.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is no such thing.
        """
        return cls(
            policy=Policy(body["policy"]),
            priority=tuple(_line(text) for text in body["priority"]),
            event_types=_buffers(body["event_types"]),
            hosts=_buffers(body["hosts"]),
            horizon_days=int(body["horizon_days"]),
        )


def _line(text: Any) -> str:
    if text.partition("=")[0] not in PRIORITY_FIELDS:
        raise ValueError(text)
    return str(text)


def _plain(buffers: Mapping[str, Buffer]) -> dict[str, list[int]]:
    return {name: [each.before_minutes, each.after_minutes] for name, each in buffers.items()}


def _buffers(body: Mapping[str, Any]) -> dict[str, Buffer]:
    return {str(name): Buffer(int(before), int(after)) for name, (before, after) in body.items()}
