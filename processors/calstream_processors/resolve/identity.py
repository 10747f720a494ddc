"""Which entity an object belongs to: derived indexes over the entities of one workspace."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from calstream_core.errors import Code, InvariantError
from calstream_processors.resolve.matching import (
    Keyed,
    MatchKeys,
    plain_hash,
)
from calstream_processors.resolve.postings import Postings
from calstream_schemas.entities import NaturalId
from calstream_schemas.entities.head import Head

_HASHES = 20_000


class IdentityIndex:
    """Finds entities by what systems call them, and contacts by what they are known by.

    Derived state: rebuilt from the entities' heads whenever they are restored.

    Args:
        keyed: hashes what they are compared by.
    """

    def __init__(self, keyed: Keyed = plain_hash) -> None:
        # the same is hashed when keys are made ahead, looked for, and with every version
        self.keyed: Keyed = lru_cache(_HASHES)(keyed)
        self._by_object: Postings[str] = Postings()
        self._by_match_key: Postings[bytes] = Postings()
        self._referrers: Postings[str] = Postings()
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._merged_into: dict[str, str] = {}
        self._members: Postings[str] = Postings()
        self._apart: dict[str, tuple[str, ...]] = {}

    def find(self, kind: str, natural_id: NaturalId) -> str | None:
        """Rung 0 of the ladder: the id of the entity that has this object."""
        return self._by_object.first(f"{kind}/{natural_id}")

    def owners(self, kind: str, natural_id: NaturalId) -> tuple[str, ...]:
        """The ids of all entities that have this object, in order."""
        return self._by_object.get(f"{kind}/{natural_id}")

    def holders(self, keys: Iterable[bytes]) -> list[str]:
        """The contacts that have one of these keys, in order."""
        return sorted({id_ for key in keys for id_ in self._by_match_key.get(key)})

    def keys(self, contact: str) -> MatchKeys:
        """What a contact is known by."""
        return MatchKeys(self._keys.get(contact, ()))

    def referrers(self, kind: str, natural_id: NaturalId) -> tuple[str, ...]:
        """The keys of the entities that refer to an object of a kind whose entity is learned."""
        return self._referrers.get(f"{kind}/{natural_id}")

    def survivor(self, contact: str) -> str:
        """The contact that a contact is by now: itself unless it was merged."""
        for _ in range(len(self._merged_into) + 1):
            into = self._merged_into.get(contact)
            if into is None:
                return contact
            contact = into
        raise InvariantError(Code.INVARIANT_BROKEN, f"The contact {contact} is merged in a circle.")

    def are_apart(self, one: str, other: str) -> bool:
        """Whether somebody said that two contacts, or whoever was merged into them, are two."""
        others = set(self.cluster(other))
        return any(not others.isdisjoint(self._apart.get(id_, ())) for id_ in self.cluster(one))

    def replace(self, before: Head | None, after: Head) -> None:
        """Takes note of a new version."""
        old_objects = before.objects if before else ()
        for text in old_objects:
            if text not in after.objects:
                self._by_object.discard(f"{after.kind}/{text}", after.id)
        for text in after.objects:
            if text not in old_objects:
                self._by_object.add(f"{after.kind}/{text}", after.id)
        old_targets = before.targets if before else ()
        for text in old_targets:
            if text not in after.targets:
                self._referrers.discard(text, after.key)
        for text in after.targets:
            if text not in old_targets:
                self._referrers.add(text, after.key)
        if after.kind == "contact":
            self._replace_contact(after)

    def members(self, contact: str) -> tuple[str, ...]:
        """The contacts that were merged into one, and those that were merged into them."""
        return tuple(id_ for id_ in self.cluster(contact) if id_ != contact)

    def forget(self, head: Head) -> None:
        """Takes an entity out."""
        nothing = replace(head, objects=(), targets=(), match_keys=(), merged_into=None, apart=())
        self.replace(head, nothing)
        self._keys.pop(head.id, None)

    def _replace_contact(self, after: Head) -> None:
        id_ = after.id
        old = self._keys.get(id_, ())
        for key in old:
            if key not in after.match_keys:
                self._by_match_key.discard(key, id_)
        for key in after.match_keys:
            if key not in old:
                self._by_match_key.add(key, id_)
        self._keys[id_] = after.match_keys
        was_into = self._merged_into.pop(id_, None)
        if was_into is not None:
            self._members.discard(was_into, id_)
        if after.merged_into is not None:
            self._merged_into[id_] = after.merged_into
            self._members.add(after.merged_into, id_)
        if after.apart:
            self._apart[id_] = after.apart
        else:
            self._apart.pop(id_, None)

    def cluster(self, contact: str) -> Iterator[str]:
        """A contact, then all that were merged into it."""
        yield contact
        for member in self._members.get(contact):
            yield from self.cluster(member)
