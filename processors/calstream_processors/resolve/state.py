"""The resolver's state in memory: decoded entities, indexes and the observations seen lately."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile

from calstream_core.clock import MICROSECONDS_PER_SECOND
from calstream_processors.resolve.assignments import Assignments
from calstream_processors.resolve.double_bookings import DoubleBookings
from calstream_processors.resolve.due import DueTimes
from calstream_processors.resolve.erasures import Erasures
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.ownership import CALENDAR_TO_CRM
from calstream_processors.resolve.questions import OpenReviews
from calstream_schemas.conflicts import Conflict, ConflictState
from calstream_schemas.entities import Entity
from calstream_schemas.entities.head import Head, head_of

SEEN_FOR_MICROSECONDS = 7 * 24 * 60 * 60 * MICROSECONDS_PER_SECOND
"""How long an observation's id is remembered: longer than any source redelivers."""


Fetch = Callable[[str], Entity | None]
"""Reads the newest version of an entity from where it is kept."""


def _nothing(_key: str) -> None:
    return None


class Workspace:
    """One workspace's state. Fulfils `WorkspaceState`.

    The index is whole; of the entities only those that were asked for lately are held decoded.

    Attributes:
        rules: those that were observed last; until then the default pattern's.
        due: when its entities are due.
        ticked_at: the instant of the last tick that was handled, microseconds; not kept.

    Args:
        index: empty; it is filled by `know` and `put`.
        fetch: for entities that are not held. By default there are none.
    """

    def __init__(self, index: IdentityIndex | None = None, fetch: Fetch = _nothing) -> None:
        self.index = index or IdentityIndex()
        self.erasures = Erasures(self.index.keyed)
        self.reviews = OpenReviews()
        self.assignments = Assignments()
        self.double_bookings = DoubleBookings()
        self.due = DueTimes()
        self.rules = CALENDAR_TO_CRM
        self.ticked_at = 0
        self.entities: dict[str, Entity] = {}
        self._fetch = fetch

    def get(self, key: str) -> Entity | None:
        """The newest version of an entity."""
        held = self.entities.pop(key, None) or self._fetch(key)
        if held is not None:
            self.entities[key] = held  # the last in the dictionary is the one asked for last
        return held

    def hold(self, entity: Entity) -> None:
        """Takes the newest version of an entity that was read elsewhere."""
        self.entities.setdefault(entity.key, entity)

    def know(self, head: Head) -> None:
        """Takes an entity into the index that is kept elsewhere."""
        self.index.replace(None, head)
        self.double_bookings.put(head)
        self.due.put(head)

    def put(self, entity: Entity) -> Entity | None:
        """Takes a new version in; returns the one before it, held since it was asked for."""
        before = self.entities.pop(entity.key, None)
        head = head_of(entity)
        self.index.replace(head_of(before) if before else None, head)
        if entity.kind == "contact":
            self.assignments.replace(before, entity)
        self.due.put(head)
        self.double_bookings.put(head)
        self.entities[entity.key] = entity
        return before

    def forget(self, entity: Entity) -> None:
        """Takes an entity out that is no more."""
        self.entities.pop(entity.key, None)
        self.index.forget(head_of(entity))
        self.double_bookings.drop(entity)
        self.due.drop(entity.key)

    def trim(self, most: int) -> None:
        """Holds no more than so many entities, those that were asked for last."""
        while len(self.entities) > most:
            del self.entities[next(iter(self.entities))]


class OpenConflicts:
    """The conflicts that stand, by the entity's key and the group."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, Conflict]] = {}

    def of(self, entity_key: str) -> Mapping[str, Conflict]:
        """The open conflicts of an entity by group."""
        return self._open.get(entity_key, {})

    def put(self, conflict: Conflict) -> None:
        """Takes note of a conflict that was written."""
        if conflict.state is ConflictState.OPEN:
            self._open.setdefault(conflict.entity_key, {})[conflict.group] = conflict
            return
        of_entity = self._open.get(conflict.entity_key, {})
        of_entity.pop(conflict.group, None)
        if not of_entity:
            self._open.pop(conflict.entity_key, None)

    def drop(self, entity_key: str) -> None:
        """Forgets those of an entity."""
        self._open.pop(entity_key, None)


class SeenObservations:
    """Ids that were applied, with when they were received. The oldest are forgotten.

    Forgetting costs nothing but a little work: an observation that is applied again changes
    nothing. Whether an id is known follows from the received times alone, not from the order in
    which ids happen to be dropped: that is another one after a restart.
    """

    def __init__(self, known: Iterable[tuple[str, int]] = ()) -> None:
        # in order of arrival, which is nearly the order of time: one that is late waits its turn
        ordered = sorted(known, key=lambda item: item[1])
        self._order: deque[tuple[str, int]] = deque(ordered)
        self._ids = dict(ordered)
        self._newest = ordered[-1][1] if ordered else 0

    def __contains__(self, key: object) -> bool:
        received_at = self._ids.get(key)  # type: ignore[call-overload]  # whatever else is not there
        return received_at is not None and received_at >= _horizon(self._newest)

    def expired(self, now: int) -> list[str]:
        """The ids that are too old at `now`, a received time."""
        old = takewhile(lambda item: item[1] < _horizon(now), self._order)
        return [key for key, at in old if self._ids.get(key) == at]  # else it came again since

    def add(self, key: str, received_at: int) -> None:
        """Remembers an id, and forgets those that `expired` names at its time."""
        while self._order and self._order[0][1] < _horizon(received_at):
            old, at = self._order.popleft()
            if self._ids.get(old) == at:
                del self._ids[old]
        self._ids[key] = received_at
        self._newest = max(self._newest, received_at)
        self._order.append((key, received_at))


def _horizon(now: int) -> int:
    return now - SEEN_FOR_MICROSECONDS
