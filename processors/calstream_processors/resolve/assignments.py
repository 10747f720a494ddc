"""Who was given how many leads: derived from what contacts' copies record."""

from collections import Counter

import orjson

from calstream_core.errors import Code, InvariantError
from calstream_schemas.entities import Copy, Entity
from calstream_schemas.rule_sets import RULES

ASSIGNMENT = "assignment"
"""The type of the objects by which the rules record that a contact is somebody's; an object's id
is the contact's and that of the list."""

Turn = tuple[str, str]
"""A list of assignees, by its id, and the owner's id."""


class Assignments:
    """How many contacts stand assigned, by list and owner. Derived from the contacts' versions."""

    def __init__(self) -> None:
        self._counts: Counter[Turn] = Counter()
        self.changed = False

    def count(self, turn: Turn) -> int:
        """How many contacts have this owner by this list."""
        return self._counts[turn]

    def replace(self, before: Entity | None, after: Entity) -> None:
        """Takes note of a new version of a contact."""
        old = _standing(before) if before else []
        new = _standing(after)
        if old != new:
            self._counts.subtract(old)
            self._counts.update(new)
            self.changed = True

    def encode(self) -> bytes:
        """For `resolver.state`: the same for the same counts."""
        self.changed = False
        counts = {"/".join(turn): count for turn, count in self._counts.items() if count}
        return orjson.dumps(counts, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def decode(cls, raw: bytes) -> "Assignments":
        """The inverse.

        Raises:
            InvariantError: it is something else; to go on would begin the turns anew.
        """
        made = cls()
        try:
            for text, count in orjson.loads(raw).items():
                round_id, _, owner_id = text.partition("/")
                made._counts[round_id, owner_id] = int(count)
        except (ValueError, TypeError, AttributeError) as error:
            raise InvariantError(
                Code.INVARIANT_BROKEN, f"The assignments can't be read: {error!r}."
            ) from error
        return made


def copies_of_rules(entity: Entity, object_type: str) -> list[Copy]:
    """What the rules have said of an entity under a type of object, by id.

    As a rule one copy; whoever was merged into a contact brought another.
    """
    found = [
        copy
        for id_, copy in entity.copies.items()
        if id_.system == RULES and id_.object_type == object_type
    ]
    return sorted(found, key=lambda copy: copy.id) if len(found) > 1 else found


def _standing(contact: Entity) -> list[Turn]:
    found = []
    for copy in copies_of_rules(contact, ASSIGNMENT):
        register = copy.registers.get("owner")
        owner_id = register.values.get("owner_id") if register else None
        if not copy.gone and isinstance(owner_id, str):
            found.append((copy.id.object_id.partition("/")[2], owner_id))
    return found
