"""The resolver's state of one partition: indexes in memory, entities read when asked for."""

from collections.abc import Iterable, Iterator
from functools import partial

import structlog

from calstream_core.errors import Code, InvariantError
from calstream_core.sealing import KeyStore
from calstream_core.zones import TZDATA_VERSION
from calstream_engine import Work
from calstream_processors.resolve.assignments import Assignments
from calstream_processors.resolve.audit import AuditChain
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.refolds import Refolds, Step
from calstream_processors.resolve.state import OpenConflicts, SeenObservations, Workspace
from calstream_processors.resolve.ticking import kept_microseconds
from calstream_schemas.audit import Link
from calstream_schemas.codec import Poison, schema_of
from calstream_schemas.conflicts import decode_conflict
from calstream_schemas.double_bookings import RECORD, decode_double_booking
from calstream_schemas.entities import Entity
from calstream_schemas.entities.avro import decode_entities, decode_entity
from calstream_schemas.entities.head import decode_head
from calstream_schemas.erasures import decode_erasure
from calstream_schemas.observations import ABOUT_RULES, Observation
from calstream_schemas.refolds import Refold
from calstream_schemas.resolver_state import (
    audit_writer_of,
    is_audit_head,
    workspace_of_assignments,
    workspace_of_refold,
    workspace_of_rules,
)
from calstream_schemas.reviews import decode_review
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.topics import ENTITIES

_log = structlog.get_logger()


class Partition:
    """What is derived from the tables of one partition.

    Attributes:
        work: of the batch that is being handled; entities are read from it.
        seen: the observations that were applied lately.
        conflicts: those that stand.
        audit: the chain of what is told of changes.
        refolds: those under way.

    Args:
        keys: the key store.
        work: to read the tables.
    """

    def __init__(self, keys: KeyStore, work: Work) -> None:
        self.work = work
        self.seen = SeenObservations()
        self.conflicts = OpenConflicts()
        self.audit = AuditChain(work.partition)
        self.refolds = Refolds()
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

    def restore_erasures(self, erasures: Iterable[tuple[bytes, bytes]]) -> None:
        """Reads who was erased.

        Raises:
            InvariantError: a record can't be read; to go on would bring people back.
        """
        for key, value in erasures:
            erasure = decode_erasure(value)
            if isinstance(erasure, Poison):
                raise _unreadable(key.decode(errors="replace"), erasure)
            self.workspace(erasure.workspace).erasures.put(erasure)

    def restore_state(self, state: Iterable[tuple[bytes, bytes]]) -> None:
        """Reads what is kept of workspaces, where the audit stands, and what was seen lately.

        Raises:
            InvariantError, RecordError: one can't be read.
        """
        seen = []
        for key, value in state:
            workspace = workspace_of_rules(key)
            if workspace is not None:
                known = self.workspace(workspace)
                known.rules = RuleSet.decode(value)
                tell_if_zones_differ(workspace, known.rules)
                known.double_bookings.use(known.rules.double_booking)
            elif (assigning := workspace_of_assignments(key)) is not None:
                self.workspace(assigning).assignments = Assignments.decode(value)
            elif (refolded := workspace_of_refold(key)) is not None:
                self.refolds.restore(refolded, Refold.decode(value))
            elif is_audit_head(key):
                self.audit = AuditChain(self.work.partition, Link.decode(value))
            elif audit_writer_of(key) is None:
                seen.append((key.decode(), int(value)))
        self.seen = SeenObservations(seen)

    def due(self, now: int) -> Iterator[tuple[str, int]]:
        """The workspaces that a tick at `now` would change, each with when its last tick was."""
        for name, workspace in list(self._workspaces.items()):
            first = workspace.due.first(kept_microseconds(workspace.rules))
            if first is not None and first <= now:
                yield name, workspace.ticked_at

    def step(self, observation: Observation) -> Step | None:
        """The slice of a refold that an observation asks for."""
        if observation.fact not in ABOUT_RULES:
            return None
        name = observation.workspace
        keys = partial(self._keys_of, name)
        return self.refolds.step(observation, keys, self.workspace(name).rules)

    def entities(self, workspace: Workspace, keys: Iterable[str]) -> dict[str, Entity]:
        """Entities of a workspace, as the work has them; those that are gone are left out.

        They are read in one go, and not held.
        """
        table, raws = self.work[ENTITIES.name], []
        found: dict[str, Entity] = {}
        for key in keys:
            held = workspace.entities.get(key)
            if held is not None:
                found[key] = held
            elif (raw := table.get(key.encode())) is not None:
                raws.append(raw)
        for entity in decode_entities(raws, self._keys.sealer):
            if isinstance(entity, Poison):
                raise _unreadable("of a refold", entity)
            found[entity.key] = entity
        return found

    def _keys_of(self, workspace: str) -> list[str]:
        """The keys of a workspace's entities, as the work has them."""
        table, prefix = self.work[ENTITIES.name], f"{workspace}/".encode()
        keys = set(table.store.keys(prefix))
        for key, value in table.changes():
            if value is None:
                keys.discard(key)
            elif key.startswith(prefix):
                keys.add(key)
        return [key.decode() for key in keys]

    def _entity(self, key: str) -> Entity | None:
        value = self.work[ENTITIES.name].get(key.encode())
        if value is None:
            return None
        entity = decode_entity(value, self._keys.sealer)
        if isinstance(entity, Poison):
            raise _unreadable(key, entity)
        return entity


def tell_if_zones_differ(workspace: str, rules: RuleSet) -> None:
    """Logs that a workspace's rules were made with another time zone database than is installed.

    Nothing goes wrong by it: what is folded asks no database. But what has changed waits until the
    rules are applied again.
    """
    if rules.tzdata != TZDATA_VERSION:
        _log.warning(
            "time zones differ",
            workspace=workspace,
            rules=rules.tzdata,
            installed=TZDATA_VERSION,
            hint="see `calstream rules plan`",
        )


def _unreadable(key: str, poison: Poison) -> InvariantError:
    return InvariantError(
        Code.INVARIANT_BROKEN,
        f"The record {key} can't be read: {poison.reason}.",
        hint="Are these the keys with which the workspace was written?",
    )
