"""Which match reviews a new version of a contact opens, and which it closes. Pure.

A review stands as long as two contacts look like one person and nobody has said that they are two.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.ladder import doubt
from calstream_processors.resolve.matching import (
    COMPANY,
    EMAIL,
    OFFICE,
    PHONE,
    MatchRules,
    keys_of_copies,
)
from calstream_schemas.entities import Entity
from calstream_schemas.reviews import MatchReview

MANY = 10
"""A number or an office that more contacts have tells nothing of who they are."""


@dataclass
class OpenReviews:
    """The reviews of one workspace that nobody has settled, by contact."""

    _by_contact: dict[str, dict[str, MatchReview]] = field(default_factory=dict)

    def of(self, contact: str) -> dict[str, MatchReview]:
        """The reviews that a contact is in, by the other contact's id."""
        return self._by_contact.get(contact, {})

    def put(self, review: MatchReview) -> None:
        """Takes a review in."""
        for contact in review.contacts:
            self._by_contact.setdefault(contact, {})[review.other(contact)] = review

    def drop(self, review: MatchReview) -> None:
        """Takes a review out."""
        for contact in review.contacts:
            others = self._by_contact.get(contact, {})
            others.pop(review.other(contact), None)
            if not others:
                self._by_contact.pop(contact, None)


@dataclass(frozen=True, slots=True)
class Changes:
    """Reviews that came, and reviews that are settled."""

    opened: tuple[MatchReview, ...] = ()
    closed: tuple[MatchReview, ...] = ()


def questions(
    index: IdentityIndex, reviews: OpenReviews, made: Iterable[Entity], rules: MatchRules
) -> Changes:
    """What new versions of contacts change in the reviews; the index has them already."""
    opened: dict[str, MatchReview] = {}
    closed: dict[str, MatchReview] = {}
    for contact in made:
        if contact.kind != "contact":
            continue
        before = reviews.of(contact.id)
        now = _in_doubt(index, before, contact, rules)
        for other in sorted(before.keys() - now.keys()):
            closed[before[other].id] = before[other]
        for other in sorted(now):
            if other not in before or now[other].reason != before[other].reason:
                opened[now[other].id] = now[other]
    return Changes(
        tuple(opened[id_] for id_ in sorted(opened)),
        tuple(closed[id_] for id_ in sorted(closed.keys() - opened.keys())),
    )


def _in_doubt(
    index: IdentityIndex, before: Iterable[str], contact: Entity, rules: MatchRules
) -> dict[str, MatchReview]:
    """By the other contact's id: whom this one may be."""
    keys = index.keys(contact.id)
    candidates = set(before)
    for kind in (EMAIL, OFFICE, PHONE, COMPANY):
        for key in keys.of(kind):
            others = [one for one in index.holders([key]) if one != contact.id]
            if len(others) <= MANY or kind == EMAIL:
                candidates.update(others[:MANY])
    found = {}
    for other in candidates:
        reason = doubt(keys, index.keys(other))
        if reason is None or index.are_apart(contact.id, other):
            continue
        first, second = sorted((contact.id, other))
        found[other] = MatchReview(
            workspace=contact.workspace,
            contacts=(first, second),
            reason=reason[0],
            evidence=_evidence(index, contact, reason[1], rules),
            opened_at=contact.cause.received_at,
            observation_id=contact.cause.observation_id,
        )
    return found


def _evidence(index: IdentityIndex, contact: Entity, key: bytes, rules: MatchRules) -> str | None:
    clear = keys_of_copies(contact.copies.values(), contact.values, rules, index.keyed)
    return clear.get(key)
