"""The resolver's state of one partition: indexes in memory, entities read when asked for."""

from collections.abc import Iterable, Iterator

from calstream_core.errors import Code, InvariantError
from calstream_core.sealing import KeyStore
from calstream_engine import Work
from calstream_processors.resolve.assignments import Assignments
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.state import OpenConflicts, SeenObservations, Workspace
from calstream_schemas.codec import Poison, schema_of
from calstream_schemas.conflicts import decode_conflict
from calstream_schemas.double_bookings import RECORD, decode_double_booking
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import decode_entity
from calstream_schemas.entities.head import decode_head
from calstream_schemas.resolver_state import workspace_of_assignments, workspace_of_rules
from calstream_schemas.reviews import decode_review
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.topics import ENTITIES


class Partition:
    """What is derived from the tables of one partition.

    Attributes:
        work: of the batch that is being handled; entities are read from it.
        seen: the observations that were applied lately.
        conflicts: those that stand.

    Args:
        keys: the key store.
        work: to read the tables.
    """

    def __init__(self, keys: KeyStore, work: Work) -> None:
        self.work = work
        self.seen = SeenObservations()
        self.conflicts = OpenConflicts()
        self._keys = keys
        self._workspaces: dict[str, Workspace] = {}

    def workspace(self, name: str) -> Workspace:
        """A workspace's state."""
        known = self._workspaces.get(name)
        if known is None:
            index = IdentityIndex(self._keys.sealer(name).keyed_hash)
            known = self._workspaces[name] = Workspace(index, self._entity)
        return known

    def restore(self, entities: Iterable[tuple[bytes, bytes]]) -> int:
        """Fills the indexes from records' heads; returns how many entities there are.

        Raises:
            InvariantError: a record can't be read; to go on with a part of the truth would write
                the rest anew.
        """
        count = 0
        for key, value in entities:
            head = decode_head(value)
            if isinstance(head, Poison):
                raise _unreadable(key.decode(errors="replace"), head)
            self.workspace(head.workspace).know(head)
            count += 1
        for workspace in self._workspaces.values():
            workspace.double_bookings.restored()
        return count

    def restore_reviews(self, reviews: Iterable[tuple[bytes, bytes]]) -> None:
        """Reads the reviews that nobody has settled.

        Raises:
            InvariantError: one can't be read.
        """
        for key, value in reviews:
            review = decode_review(value, self._keys.sealer)
            if isinstance(review, Poison):
                raise _unreadable(key.decode(errors="replace"), review)
            self.workspace(review.workspace).reviews.put(review)

    def restore_conflicts(self, conflicts: Iterable[tuple[bytes, bytes]]) -> None:
        """Reads the conflicts and double bookings that stand.

        Raises:
            InvariantError: one can't be read.
        """
        for key, value in conflicts:
            schema = schema_of(value)
            if schema is not None and schema.record == RECORD:
                found = decode_double_booking(value)
                if isinstance(found, Poison):
                    raise _unreadable(key.decode(errors="replace"), found)
                self.workspace(found.workspace).double_bookings.restore(found)
                continue
            conflict = decode_conflict(value, self._keys.sealer)
            if isinstance(conflict, Poison):
                raise _unreadable(key.decode(errors="replace"), conflict)
            self.conflicts.put(conflict)

    def restore_state(self, state: Iterable[tuple[bytes, bytes]]) -> None:
        """Reads the workspaces' rules and assignments, and what was seen lately.

        Raises:
            InvariantError, RecordError: one can't be read.
        """
        seen = []
        for key, value in state:
            if (workspace := workspace_of_rules(key)) is not None:
                known = self.workspace(workspace)
                known.rules = RuleSet.decode(value)
                known.double_bookings.use(known.rules.double_booking)
            elif (workspace := workspace_of_assignments(key)) is not None:
                self.workspace(workspace).assignments = Assignments.decode(value)
            else:
                seen.append((key.decode(), int(value)))
        self.seen = SeenObservations(seen)

    def entities(self, workspace: str, kind: str | None = None) -> Iterator[Entity]:
        """All entities of a workspace, or those of a kind, as the work has them."""
        below = f"{workspace}/{kind}/" if kind else f"{workspace}/"
        table, prefix = self.work[ENTITIES.name], below.encode()
        keys = {key for key, _ in table.store.items()} | {key for key, _ in table.changes()}
        for key in sorted(key for key in keys if key.startswith(prefix)):
            entity = self._entity(key.decode())
            if entity is not None:
                yield entity

    def _entity(self, key: str) -> Entity | None:
        value = self.work[ENTITIES.name].get(key.encode())
        if value is None:
            return None
        entity = decode_entity(value, self._keys.sealer)
        if isinstance(entity, Poison):
            raise _unreadable(key, entity)
        return entity


def _unreadable(key: str, poison: Poison) -> InvariantError:
    return InvariantError(
        Code.INVARIANT_BROKEN,
        f"The record {key} can't be read: {poison.reason}.",
        hint="Are these the keys with which the workspace was written?",
    )
