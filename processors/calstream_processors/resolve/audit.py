"""The resolver's audit: an entry for whatever an observation changed or decided, in a chain.

Entries are written with what they tell of, in one transaction. Where the chain stands is kept in
`resolver.state`, so that a restart or another worker goes on with it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from calstream_core.errors import Code, InvariantError
from calstream_core.kafka.limits import MAX_RECORD_BYTES
from calstream_core.sealing import Sealer
from calstream_processors.resolve.consequences import Change
from calstream_schemas.audit import NOBODY, START, Link, encode_audit_entry, hash_of
from calstream_schemas.conflicts import Conflict
from calstream_schemas.double_bookings import DoubleBooking
from calstream_schemas.entities import Entity, kind_of
from calstream_schemas.entities.avro import content_hash
from calstream_schemas.observations import DECISIONS, Fact, Observation
from calstream_schemas.resolver_state import (
    CHECKPOINT_EVERY,
    audit_checkpoint_key,
    audit_head_key,
)

WRITER = "resolve"
"""Whose chain it is; there is one for each partition."""

_MOST_CHANGES = 200
"""Versions that one entry tells of; more are told by further entries."""

_MOST_CHARACTERS = 200
DOUBLE_BOOKING = "double booking"
"""What stands in place of the group where two bookings overlap."""

_ALWAYS_TOLD = DECISIONS | {Fact.RULES, Fact.SETTLE, Fact.ERASE, Fact.ERASED}

Put = Callable[[bytes, bytes], None]


class AuditChain:
    """Where the chain of one partition stands.

    Args:
        partition: its number.
        head: its newest entry.
    """

    def __init__(self, partition: int, head: Link = START) -> None:
        self._partition = partition
        self._head = self._kept = head

    def append(self, body: dict[str, Any]) -> bytes:
        """The value of the next entry, which the chain counts as written.

        Args:
            body: what `entries_of` gave.
        """
        body["writer"] = WRITER
        body["partition"] = self._partition
        body["sequence"] = sequence = self._head.sequence + 1
        body["previous"] = self._head.hash
        raw = encode_audit_entry(body)
        if len(raw) > MAX_RECORD_BYTES - len(body["workspace"]):
            raise InvariantError(
                Code.INVARIANT_BROKEN, f"An audit entry of {len(raw)} bytes fits no record."
            )
        self._head = Link(sequence, hash_of(raw), body["received_at"])
        return raw

    def keep(self, put: Put) -> None:
        """Writes where the chain stands, if it has moved since: the head, and a checkpoint."""
        if self._head is self._kept:
            return
        text = self._head.encode()
        put(audit_head_key(WRITER), text)
        # of a batch one checkpoint at most, and not of a fixed entry: any is as good a witness
        if self._head.sequence // CHECKPOINT_EVERY > self._kept.sequence // CHECKPOINT_EVERY:
            put(audit_checkpoint_key(WRITER, self._head.sequence), text)
        self._kept = self._head


@dataclass(slots=True)
class Told:
    """All that an observation did, what rules drew from it included.

    Attributes:
        changes: the new versions.
        conflicts, double_bookings: those that were opened, changed or ended.
        forgotten: entities that are no more, as they were last.
        is_refold: whether the rules stay, and entities were folded again all the same.
    """

    changes: list[Change] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    double_bookings: list[DoubleBooking] = field(default_factory=list)
    forgotten: list[Entity] = field(default_factory=list)
    is_refold: bool = False

    @property
    def is_something(self) -> bool:
        """Whether it did anything."""
        return bool(self.changes or self.conflicts or self.double_bookings or self.forgotten)


def entries_of(observation: Observation, told: Told, sealer: Sealer) -> Iterator[dict[str, Any]]:
    """What is to be told of an observation: nothing if it changed nothing and is no decision.

    Args:
        observation: the one that came in.
        told: what it did.
        sealer: the workspace's.
    """
    if not told.is_something and not _is_decision(observation):
        return
    changes: list[Change | Entity] = [*told.changes, *told.forgotten]
    disputes = [_conflict(each) for each in told.conflicts]
    disputes += [side for each in told.double_bookings for side in _sides(each)]
    for start in range(0, max(len(changes), len(disputes), 1), _MOST_CHANGES):
        objects: dict[str, int] = {}
        its = changes[start : start + _MOST_CHANGES]
        yield {
            **_cause(observation, Fact.REFOLD if told.is_refold else observation.fact),
            "changes": [_change(each, observation.id, objects, sealer) for each in its],
            "objects": list(objects),
            "conflicts": disputes[start : start + _MOST_CHANGES],
        }


def _is_decision(observation: Observation) -> bool:
    return observation.fact in _ALWAYS_TOLD or observation.decided_by is not None


def _cause(observation: Observation, event: Fact) -> dict[str, Any]:
    rules = observation.rule_set
    return {
        "workspace": observation.workspace,
        "event": event,
        "observation_id": observation.id,
        "source": str(observation.natural_id)[:_MOST_CHARACTERS],
        "received_at": observation.received_at,
        "occurred_at": observation.occurred_at,
        "kind": observation.kind,
        "about": observation.about,
        "other": observation.other,
        "decided_by": observation.decided_by and observation.decided_by[:_MOST_CHARACTERS],
        "rule_set": rules.id if rules else None,
    }


def _change(
    change: Change | Entity, cause: str, objects: dict[str, int], sealer: Sealer
) -> dict[str, Any]:
    if isinstance(change, Entity):
        return {
            "kind": change.kind,
            "id": change.id,
            "version": change.version,
            "cause": None,
            "groups": [],
            "before": content_hash(change, sealer),
            "after": None,
        }
    before, after = change.before, change.after
    its_cause = change.cause.id
    return {
        "kind": after.kind,
        "id": after.id,
        "version": after.version,
        "cause": None if its_cause == cause else its_cause,
        "groups": list(_groups(before, after, objects)),
        "before": None if before is None else content_hash(before, sealer),
        "after": content_hash(after, sealer),
    }


def _groups(
    before: Entity | None, after: Entity, objects: dict[str, int]
) -> Iterator[dict[str, Any]]:
    old_decisions = before.decisions if before else {}
    old_values = before.values if before else {}
    if old_decisions == after.decisions and old_values == after.values:
        return
    groups = kind_of(after.kind).group_by_name
    # in the order of the catalogue, not of the mapping: that depends on who spoke first
    for name, group in groups.items():
        decision, old = after.decisions.get(name), old_decisions.get(name)
        if decision is None and old is None:
            continue
        same = old is not None and all(
            old_values.get(field.name) == after.values.get(field.name) for field in group.fields
        )
        if same and decision == old:
            continue
        if decision is None:
            place, rule = NOBODY, ""
        else:
            place, rule = objects.setdefault(str(decision.id), len(objects)), decision.rule
        yield {"group": name, "object": place, "rule": rule, "same": same}


def _conflict(conflict: Conflict) -> dict[str, Any]:
    return {
        "kind": conflict.kind,
        "id": conflict.entity_id,
        "group": conflict.group,
        "state": conflict.state,
        "rule": conflict.rule,
    }


def _sides(found: DoubleBooking) -> Iterator[dict[str, Any]]:
    """A double booking as it is told of each of its two sides."""
    for side in found.sides:
        yield {
            "kind": side.key.kind,
            "id": side.key.id,
            "group": DOUBLE_BOOKING,
            "state": found.state,
            "rule": found.rule or found.policy,
        }
