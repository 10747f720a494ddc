"""A workspace of people, resolved as the stage does it: versions, indexes and match reviews."""

from dataclasses import replace
from itertools import count

from calstream_processors.resolve.matching import match_rules
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.questions import questions
from calstream_processors.resolve.resolver import resolve
from calstream_processors.resolve.state import Workspace
from calstream_schemas.entities import Entity, NaturalId, Stamp, Values, entity_key
from calstream_schemas.observations import Fact, Observation, Statement
from calstream_schemas.reviews import MatchReview
from calstream_schemas.rule_sets import RuleSet


def attendee(number: int) -> NaturalId:
    return NaturalId("calendar_live", "attendee", f"att_{number}")


def hubspot(number: int) -> NaturalId:
    return NaturalId("hubspot", "contact", str(number))


class People:
    """One workspace. Time passes by one microsecond with each observation."""

    def __init__(self, rules: RuleSet = CALENDAR_TO_CRM) -> None:
        self.workspace = Workspace()
        self.rules = rules
        self.log: list[Observation] = []
        self._clock = count(1)

    def books(
        self,
        number: int,
        *,
        email: str | None = None,
        name: str | None = None,
        phone: str | None = None,
        company: str | None = None,
    ) -> str:
        """A booking's attendee; what is None was left empty. The id of the contact they are."""
        self.says(
            attendee(number),
            email={"email": email},
            name={"full_name": name},
            phone={"phone": phone, "phone_raw": phone},
            company={"company": company},
        )
        return self.who(attendee(number))

    def says(
        self,
        natural_id: NaturalId,
        *,
        role: str = "calendar",
        about: str | None = None,
        by_self: bool = False,
        **groups: Values,
    ) -> tuple[Entity, ...]:
        at = next(self._clock)
        statements = tuple(
            Statement(group, values, Stamp(-1, at, by_self)) for group, values in groups.items()
        )
        said = _observation(at, natural_id, role=role, statements=statements, about=about)
        return self.hears(said)

    def decides(self, fact: Fact, about: str, other: str | None = None) -> tuple[Entity, ...]:
        at = next(self._clock)
        decision = NaturalId("calstream", "decision", str(at))
        made = _observation(at, decision, role="decisions", fact=fact, about=about, other=other)
        return self.hears(replace(made, decided_by="dana"))

    def refers(self, booking: int, contact: NaturalId) -> str:
        """An attendance of a contact; its key."""
        at = next(self._clock)
        natural_id = NaturalId("calendar_live", "attendance", f"cal_{booking}/{contact.object_id}")
        stamp = Stamp(-1, at, by_self=False)
        statement = Statement("contact", {"contact_ref": str(contact)}, stamp)
        said = _observation(at, natural_id, kind="attendance", statements=(statement,))
        return self.hears(said)[-1].key

    def hears(self, observation: Observation) -> tuple[Entity, ...]:
        self.log.append(observation)
        made = resolve(self.workspace, observation, self.rules)
        self.takes(made)
        return made

    def takes(self, made: tuple[Entity, ...]) -> None:
        """Takes new versions in, and asks what there is to ask."""
        for entity in made:
            self.workspace.put(entity)
        changes = questions(
            self.workspace.index, self.workspace.reviews, made, match_rules(self.rules)
        )
        for review in changes.closed:
            self.workspace.reviews.drop(review)
        for review in changes.opened:
            self.workspace.reviews.put(review)

    def who(self, natural_id: NaturalId) -> str:
        found = self.workspace.index.find("contact", natural_id)
        assert found is not None
        return found

    def contact(self, id_: str) -> Entity:
        found = self.workspace.get(entity_key("acme", "contact", id_))
        assert found is not None
        return found

    def contacts(self) -> list[Entity]:
        """Those that are somebody: not merged into another."""
        return [
            entity
            for entity in self.workspace.entities.values()
            if entity.kind == "contact" and entity.merge is None
        ]

    def reviews(self) -> dict[str, MatchReview]:
        return {
            review.id: review
            for entity in self.workspace.entities.values()
            for review in self.workspace.reviews.of(entity.id).values()
        }


def _observation(
    at: int,
    natural_id: NaturalId,
    *,
    kind: str = "contact",
    fact: Fact = Fact.STATE,
    role: str = "calendar",
    statements: tuple[Statement, ...] = (),
    about: str | None = None,
    other: str | None = None,
) -> Observation:
    return Observation(
        id=f"o{at}",
        workspace="acme",
        fact=fact,
        kind=kind,
        natural_id=natural_id,
        role=role,
        received_at=at,
        occurred_at=at,
        statements=statements,
        about=about,
        other=other,
    )
