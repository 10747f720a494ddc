"""A webhook of calendar.live that is being read into observations."""

import re
from collections.abc import Callable, Mapping

from calstream_processors.normalise.body import Body
from calstream_processors.normalise.instant import clamp, parse_instant
from calstream_schemas.entities import NaturalId, Stamp, Values
from calstream_schemas.observations import Fact, Observation, Statement, observation_id
from calstream_schemas.rule_sets import RULES
from calstream_schemas.webhooks import ReceivedWebhook

SYSTEM = "calendar_live"
ROLE = "calendar"

_SYSTEM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_OURS = frozenset({SYSTEM, RULES, "calstream"})
"""Names under which no other system makes events."""

Read = Callable[[], Values]


class Reading:
    """One webhook being read: what all its observations have in common."""

    def __init__(self, webhook: ReceivedWebhook, body: Body, default_country: str) -> None:
        self.webhook = webhook
        self.default_country = default_country
        self.type = body.required_text("type")
        event_id = body.text("id")
        self.event_id = event_id or webhook.delivery_id or webhook.id
        self.created_at = self.instant(body, "created_at")
        self.observations: list[Observation] = []

    def instant(self, body: Body, name: str) -> int:
        """A required time of change, as the platform says it."""
        return parse_instant(body.required_text(name), body.place(name))

    def observe(
        self,
        body: Body,
        kind: str,
        natural_id: NaturalId,
        stamp: Stamp,
        groups: Mapping[str, Read],
        *,
        fact: Fact = Fact.STATE,
        same_as: NaturalId | None = None,
        role: str = ROLE,
        aspect: str = "",
        there_at: int = 0,
    ) -> None:
        """Adds an observation with every group that can be read; the others become problems.

        `role` is another one where the object is another system's. `aspect` tells apart two
        observations of one object in one webhook. At `there_at` the object showed that it is
        there, where that is later than its last change.
        """
        statements = []
        for group, read in groups.items():
            values = body.attempt(read)
            if values is not None:
                statements.append(Statement(group, values, stamp))
        self.observations.append(
            Observation(
                id=observation_id(SYSTEM, self.event_id + aspect, fact, natural_id),
                workspace=self.webhook.workspace,
                fact=fact,
                kind=kind,
                natural_id=natural_id,
                role=role,
                received_at=self.webhook.received_at,
                occurred_at=clamp(max(stamp.modified_at, there_at), self.webhook.received_at),
                statements=tuple(statements),
                same_as=same_as,
                event_id=self.event_id,
                event_type=self.type,
                delivery_id=self.webhook.delivery_id,
            )
        )


def event_of(event_id: str) -> NaturalId:
    """The event with an id."""
    return NaturalId(SYSTEM, "event", event_id)


def hold_of(hold_id: str) -> NaturalId:
    """The hold with an id."""
    return NaturalId(SYSTEM, "hold", hold_id)


def made_elsewhere(origin: Values) -> NaturalId | None:
    """The booking of another system for which an event was made; None if that is nobody's name.

    Sinks call it so too: by the sink's id, our name of the kind, and the id there.
    """
    system, object_id = origin["origin_system"], origin["origin_id"]
    if not isinstance(system, str) or not isinstance(object_id, str):
        return None
    if not _SYSTEM_NAME.fullmatch(system) or system in _OURS:
        return None
    return NaturalId(system, "booking", object_id)


def attendee_of(attendee_id: str) -> NaturalId:
    """The attendee with an id."""
    return NaturalId(SYSTEM, "attendee", attendee_id)
