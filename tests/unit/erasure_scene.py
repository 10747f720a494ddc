"""A workspace in which people are erased, resolved as the stage does it; keys and sinks aside."""

from collections.abc import Iterable
from dataclasses import replace

from calstream_processors.normalise.normaliser import normalise
from calstream_processors.resolve.consequences import Change, follow
from calstream_processors.resolve.erasing import ERASURE_FACTS, erase
from calstream_processors.resolve.matching import match_rules
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.questions import questions
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.rulebook import CONSEQUENCES
from calstream_processors.resolve.state import Workspace
from calstream_processors.resolve.suppression import after_dropping, suppressed_by
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_schemas.entities import Entity, NaturalId, entity_key
from calstream_schemas.erasure_facts import Done, ErasureOrder, Receipt
from calstream_schemas.erasures import SELF, Erasure, decode_erasure, encode_erasure
from calstream_schemas.observations import Fact, Observation, observation_id
from calstream_schemas.webhooks import ReceivedWebhook


class Town:
    """One workspace. `now` is the time of day, in microseconds, and is set by the test."""

    def __init__(self, now: int) -> None:
        self.workspace = Workspace()
        self.now = now
        self.log: list[Observation] = []

    def receives(self, webhooks: Iterable[Webhook]) -> None:
        for webhook in webhooks:
            came = ReceivedWebhook(
                webhook.id, "acme", "calendar_live", self.now, None, "", "", "", webhook.raw
            )
            for observation in normalise(came, "US").observations:
                self.hears(observation)

    def hears(self, observation: Observation) -> list[Entity]:
        self.log.append(observation)
        made = self._applies(observation)
        drawn = [made]
        while drawn:
            said = follow(self.workspace, drawn.pop(), CALENDAR_TO_CRM, CONSEQUENCES)
            drawn.extend([self._applies(each, drawn=True) for each in list(said)])
        return [change.after for change in made]

    def _applies(self, observation: Observation, *, drawn: bool = False) -> list[Change]:
        state, rules = self.workspace, CALENDAR_TO_CRM
        if observation.fact in ERASURE_FACTS:
            step = erase(state, observation, rules)
            if step.erasure is not None:
                self._keeps(step.erasure)
            made = step.made
        else:
            erasure = suppressed_by(state, observation, rules) if state.erasures else None
            if erasure is not None:
                if not drawn:
                    self._keeps(after_dropping(state, erasure, observation))
                return []
            made = resolve(state, observation, rules)
        changes = [Change(state.put(entity), entity, observation) for entity in made]
        asked = questions(state.index, state.reviews, made, match_rules(rules))
        for review in asked.closed:
            state.reviews.drop(review)
        for review in asked.opened:
            state.reviews.put(review)
        return changes

    def _keeps(self, erasure: Erasure) -> None:
        read = decode_erasure(encode_erasure(erasure))
        assert read == erasure
        self.workspace.erasures.put(erasure)

    def orders(self, contact: str, *systems: str) -> list[Entity]:
        natural_id = NaturalId("calstream", "decision", str(self.now))
        order = self.fact(Fact.ERASE, contact, natural_id)
        return self.hears(
            replace(order, erasure=ErasureOrder(self.now + 1, systems), decided_by="dana")
        )

    def answers(self, kind: str, id_: str, system: str, done: Done, seen: int = 0) -> list[Entity]:
        natural_id = NaturalId(system, kind, id_)
        entity = "" if system == SELF else f"{kind}/{id_}"
        receipt = self.fact(Fact.ERASED, id_, natural_id)
        given = Receipt(system, entity, done, self.now, seen=seen)
        return self.hears(replace(receipt, kind=kind, erasure=given))

    def destroys(self, contact: str) -> list[Entity]:
        seen = self.erasure(contact).dropped
        return self.answers("contact", contact, SELF, Done.KEYS_DESTROYED, seen)

    def erases(self, contact: str) -> None:
        self.orders(contact)
        self.destroys(contact)

    def erasure(self, contact: str) -> Erasure:
        found = self.workspace.erasures.of_entity("contact", contact)
        assert found is not None
        return found

    def get(self, kind: str, id_: str) -> Entity:
        found = self.workspace.get(entity_key("acme", kind, id_))
        assert found is not None
        return found

    def all(self, kind: str) -> list[Entity]:
        return [each for each in self.workspace.entities.values() if each.kind == kind]

    def who(self, attendee: str) -> list[str]:
        """The ids of the contacts that have an attendee's object."""
        natural_id = NaturalId("calendar_live", "attendee", attendee)
        return list(self.workspace.index.owners("contact", natural_id))

    def fact(self, fact: Fact, about: str, natural_id: NaturalId) -> Observation:
        return Observation(
            id=observation_id("test", f"{self.now}", fact, natural_id),
            workspace="acme",
            fact=fact,
            kind="contact",
            natural_id=natural_id,
            role="decisions",
            received_at=self.now,
            occurred_at=self.now,
            about=about,
        )
