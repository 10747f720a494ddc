"""Which entity an object belongs to: derived indexes over the entities of one workspace."""

from collections import defaultdict
from collections.abc import Iterable

from calstream_schemas.entities import Entity, NaturalId, kind_of


class IdentityIndex:
    """Finds entities by what systems call them, and contacts by e-mail address.

    Derived state: rebuilt from the entities whenever they are restored.
    """

    def __init__(self, entities: Iterable[Entity] = ()) -> None:
        self._by_natural_id: dict[tuple[str, NaturalId], str] = {}
        self._by_email: dict[str, set[str]] = defaultdict(set)
        self._waiting: dict[tuple[str, NaturalId], set[str]] = defaultdict(set)
        for entity in entities:
            self.replace(None, entity)

    def find(self, kind: str, natural_id: NaturalId) -> str | None:
        """Rung 0 of the ladder: the id of the entity that has this object."""
        return self._by_natural_id.get((kind, natural_id))

    def contact_with_email(self, email: str) -> str | None:
        """The next rung: the contact with this address; None unless there is exactly one.

        Where several have it, choosing one would be a guess that merges people.
        """
        found = self._by_email.get(email, set())
        return next(iter(found)) if len(found) == 1 else None

    def waiting_for(self, kind: str, natural_id: NaturalId) -> frozenset[str]:
        """The keys of the entities that refer to an object which is no entity yet."""
        return frozenset(self._waiting.get((kind, natural_id), ()))

    def replace(self, before: Entity | None, after: Entity) -> None:
        """Takes note of a new version."""
        for natural_id in after.copies:
            self._by_natural_id[after.kind, natural_id] = after.id
        if after.kind == "contact":
            self._replace_email(before, after)
        self._replace_waiting(before, after)

    def _replace_email(self, before: Entity | None, after: Entity) -> None:
        old = before.values.get("email") if before else None
        new = after.values.get("email")
        if isinstance(old, str) and old != new:
            self._by_email[old].discard(after.id)
        if isinstance(new, str):
            self._by_email[new].add(after.id)

    def _replace_waiting(self, before: Entity | None, after: Entity) -> None:
        if before is not None:
            for target in unresolved(before):
                self._waiting[target].discard(before.key)
        for target in unresolved(after):
            self._waiting[target].add(after.key)


def unresolved(entity: Entity) -> list[tuple[str, NaturalId]]:
    """The objects that an entity refers to and that have no entity yet."""
    found = []
    for _group, field in kind_of(entity.kind).references:
        text = entity.values.get(field.name)
        if isinstance(text, str) and field.name not in entity.references:
            assert field.reference is not None
            found.append((field.reference, NaturalId.parse(text)))
    return found
