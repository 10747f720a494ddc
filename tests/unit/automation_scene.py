"""A workspace with its rules at work: webhooks and observations in, the truth out. No broker."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from calstream_core.clock import to_microseconds
from calstream_processors.normalise import normalise
from calstream_processors.resolve.consequences import Change, follow_up
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.rulebook import CONSEQUENCES
from calstream_processors.resolve.state import Workspace
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.entities import Entity, NaturalId, Stamp, Values
from calstream_schemas.lead_rules import LeadRules
from calstream_schemas.observations import (
    NO_VERSION,
    Fact,
    Observation,
    Statement,
    observation_id,
)
from calstream_schemas.rule_sets import CRM, RuleSet
from calstream_schemas.webhooks import ReceivedWebhook

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = NOON + timedelta(days=7)
HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
TRIAL = EventType("trial", "Trial")
WORKSHOP = EventType("workshop", "Workshop", paid=True, price_minor=4900)


class Clock:
    """A second later at each look."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def calendar() -> Calendar:
    """An empty calendar whose clock goes on a second at each look."""
    return Calendar("acme", seed="automation", now=Clock())


def booking(kind: EventType = TRIAL, **more: Any) -> Booking:
    """A meeting in a week."""
    return Booking(HOST, kind, START, START + timedelta(minutes=30), "UTC", **more)


def rules_with(leads: LeadRules, base: RuleSet = CALENDAR_TO_CRM) -> RuleSet:
    """A pattern's rules with others for leads."""
    return replace(base, leads=leads)


def crm_says(
    natural_id: NaturalId,
    kind: str,
    at: datetime,
    groups: Mapping[str, Values],
    *,
    about: str | None = None,
    by_self: bool = False,
) -> Observation:
    """A word of the CRM; with `by_self` one that we wrote there."""
    moment = to_microseconds(at)
    return Observation(
        id=observation_id(natural_id.system, f"{at}/{by_self}", Fact.STATE, natural_id),
        workspace="acme",
        fact=Fact.STATE,
        kind=kind,
        natural_id=natural_id,
        role=CRM,
        received_at=moment,
        occurred_at=moment,
        about=about,
        statements=tuple(
            Statement(group, values, Stamp(NO_VERSION, moment, by_self))
            for group, values in groups.items()
        ),
    )


class Truth:
    """A workspace in memory, as the resolver keeps it."""

    def __init__(self, rules: RuleSet = CALENDAR_TO_CRM) -> None:
        self.rules = rules
        self.state = Workspace()
        self.drawn: list[Observation] = []
        self.versions = 0

    def receive(self, webhooks: Iterable[Webhook]) -> "Truth":
        """Resolves webhooks in this order, and what follows from them."""
        for webhook in webhooks:
            for observation in observations_of(webhook):
                self.observe(observation)
        return self

    def observe(self, observation: Observation) -> None:
        """Resolves one observation, and what follows from it."""
        follow_up(self.state, self._apply(observation), self.rules, CONSEQUENCES, self._apply_drawn)

    def of(self, kind: str) -> list[Entity]:
        """The newest versions of a kind, in the order in which they came to be."""
        found = [each for each in self.state.entities.values() if each.kind == kind]
        return sorted(found, key=lambda each: (each.created_at, each.id))

    def only(self, kind: str) -> Entity:
        """The only entity of a kind."""
        (found,) = self.of(kind)
        return found

    def _apply_drawn(self, observation: Observation) -> list[Change]:
        self.drawn.append(observation)
        return self._apply(observation)

    def _apply(self, observation: Observation) -> list[Change]:
        made = resolve(self.state, observation, self.rules)
        self.versions += len(made)
        return [Change(self.state.put(entity), entity, observation) for entity in made]


def observations_of(webhook: Webhook) -> tuple[Observation, ...]:
    """What a webhook tells, received when it was sent."""
    created_at = datetime.fromisoformat(webhook.body["created_at"])
    received = ReceivedWebhook(
        id="1",
        workspace="acme",
        source="calendar_live",
        received_at=to_microseconds(created_at),
        delivery_id=f"dlv_{webhook.body['id']}",
        scheme="hmac-sha256",
        secret_label="default",
        content_type="application/json",
        body=webhook.raw,
    )
    return normalise(received, "US").observations
