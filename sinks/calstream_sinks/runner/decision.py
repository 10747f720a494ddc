"""Decides what an entity needs at a vendor, from what we want, what it holds and the ledger.

Pure: no I/O and no clock.
"""

import hashlib
from dataclasses import dataclass

import orjson

from calstream_core.sealing import Sealer
from calstream_schemas.entities import Entity
from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_sinks.api import FieldValues, Held, Projection


@dataclass(frozen=True, slots=True)
class Write:
    """The vendor's object must be written.

    Attributes:
        fields: which fields.
        outcome_unknown: an earlier attempt may have been applied.
        not_before: microseconds; 0 for at once.
    """

    fields: FieldValues
    outcome_unknown: bool = False
    not_before: int = 0


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing needs to be done."""


def projection_hash(projection: Projection, sealer: Sealer) -> str:
    """A keyed hash of how an object should look: equal for equal projections."""
    links = sorted((link.object_type, link.external_id) for link in projection.links)
    text = orjson.dumps([sorted(projection.fields.items()), links])
    return sealer.keyed_hash("sink.projection", text).hex()


def operation_id(sink: str, entity: Entity, hash_: str) -> str:
    """Names a write: the same for every attempt to make this object look like this."""
    parts = f"{sink}\x1f{entity.key}\x1f{hash_}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def decide(
    projection: Projection,
    *,
    hash_: str,
    operation: str,
    ledger: LedgerEntry | None,
    held: Held,
    written: FieldValues | None,
) -> Write | Nothing:
    """What to do.

    Args:
        projection: how it should look.
        hash_: the projection's.
        operation: the name of the write that would make it so.
        ledger: the sink's entry for the entity.
        held: what the vendor holds according to its copy.
        written: what the vendor told us it holds after this process's last write, if there was
            one, with what somebody changed there since; fresher than the rest of the copy, which
            comes round through the resolver.
    """
    if ledger is None:
        return Write(projection.fields)
    parked = ledger.state in {LedgerState.INTENT, LedgerState.RETRY}
    not_before = ledger.due_at or 0 if parked else 0
    given_up = ledger.state is LedgerState.DEAD and not ledger.waiting_for
    if given_up and ledger.operation_id == operation:
        return Nothing()
    unknown = ledger.state is LedgerState.INTENT
    if unknown or ledger.external_id is None:
        return Write(projection.fields, outcome_unknown=unknown, not_before=not_before)
    edited = {
        name: value
        for name, value in projection.fields.items()
        if name in held.edited and held.fields.get(name) != value
    }
    if ledger.state is LedgerState.DONE and ledger.projection_hash == hash_:
        return Write(edited) if edited else Nothing()
    fields = edited | _differing(projection, held, written)
    if not fields and not projection.links and ledger.state is LedgerState.DONE:
        return Nothing()  # what changed is the vendor's own word
    return Write(fields, not_before=not_before)


def own_words(projection: Projection, held: Held, written: FieldValues | None) -> frozenset[str]:
    """The fields that somebody set at the vendor as we want them, and that we have not changed."""
    return frozenset(
        name
        for name in held.edited
        if name in projection.fields
        and held.fields.get(name) == projection.fields[name]
        and (written is None or written.get(name) == projection.fields[name])
    )


def _differing(
    projection: Projection, held: Held, written: FieldValues | None
) -> dict[str, str | None]:
    """The fields to write. What somebody edited there as we want it is left alone."""
    if written is not None:
        return {n: v for n, v in projection.fields.items() if n not in written or written[n] != v}
    return {
        name: value
        for name, value in projection.fields.items()
        if not (name in held.edited and held.fields.get(name) == value)
    }
