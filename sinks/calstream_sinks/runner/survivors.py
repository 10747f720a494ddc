"""Whose object is whose: after contacts were merged, a merge was undone, or one was found.

The ledger says which object of the vendor an entity has. A merge and an unmerge move objects from
one entity to another without a write; what the ledger says is read in their light.
"""

from dataclasses import replace

from calstream_schemas.entities import Entity
from calstream_schemas.ledger import LedgerEntry, LedgerState
from calstream_sinks.runner.learned import PROVISIONAL, copy_at
from calstream_sinks.runner.view import LocalView


def ledger_of(entity: Entity, view: LocalView, sink_id: str) -> LedgerEntry | None:
    """What the ledger says of an entity, with what merges have changed.

    A survivor without an object takes over that of whoever was merged into it, rather than make
    another one. After an unmerge an entity has not the object any more that went back to the other.
    """
    entry = view.ledger(entity.key)
    if entry is not None and entry.external_id is not None:
        # whatever became of a call for it: the other writes all of the object anew
        return _without_object(entry) if _owner(entity, entry, view, sink_id) else entry
    if entry is not None and entry.state is LedgerState.INTENT:
        return entry  # an object may have been made: that must be known first
    for member in view.merged_into(entity.key):
        theirs = view.ledger(member)
        if (
            theirs is not None
            and theirs.external_id is not None
            and copy_at(entity, sink_id, theirs.external_id) is not None
        ):
            return replace(_without_object(theirs), external_id=theirs.external_id)
    return _with_object_of_copy(entity, entry, sink_id)


def _with_object_of_copy(
    entity: Entity, entry: LedgerEntry | None, sink_id: str
) -> LedgerEntry | None:
    """The entry with the object that the system itself told of, or was said to have made it in.

    Somebody made it there, so it is never made a second time.
    """
    if entry is not None and entry.waiting_for == entity.key:
        return entry  # what the sink has just learned of it is not folded yet
    told = [
        copy.id.object_id
        for copy in entity.copies_of(sink_id)
        if not copy.gone and not copy.id.object_id.startswith(PROVISIONAL)
    ]
    if not told:
        return entry
    if entry is None:
        entry = LedgerEntry(LedgerState.DONE, entity_version=0, operation_id="", updated_at=0)
    return replace(entry, external_id=min(told))


def first_to_write(entity: Entity, view: LocalView, sink_id: str) -> str | None:
    """The key of whom an entity's object went back to, as long as that one has not written it.

    Until then the object still says that it is this entity's, and would be found as such.
    """
    entry = view.ledger(entity.key)
    owner = _owner(entity, entry, view, sink_id) if entry is not None else None
    theirs = view.ledger(owner) if owner is not None else None
    return owner if theirs is not None and theirs.projection_hash is None else None


def other_holder(entity: Entity, external_id: str, view: LocalView, sink_id: str) -> str | None:
    """The key of another entity that has an object, so that this one must not adopt it.

    An object that is among the entity's own copies is its own, whatever a ledger still says.
    """
    if copy_at(entity, sink_id, external_id) is not None:
        return None
    for key in view.holding(entity.key, external_id):
        other = view.entity(key)
        if key != entity.key and (other is None or other.merge is None):
            return key
    return None


def _owner(entity: Entity, entry: LedgerEntry, view: LocalView, sink_id: str) -> str | None:
    """The key of another entity that has the object now which the ledger gives to this one."""
    if entry.external_id is None or copy_at(entity, sink_id, entry.external_id) is not None:
        return None
    prefix = entity.key.removesuffix(entity.id)
    for id_ in entity.apart:
        other = view.entity(f"{prefix}{id_}")
        if other is not None and copy_at(other, sink_id, entry.external_id) is not None:
            return other.key
    return None


def _without_object(entry: LedgerEntry) -> LedgerEntry:
    """An entry that knows of no object and of no write, so that everything is written."""
    return LedgerEntry(
        state=LedgerState.DONE,
        entity_version=entry.entity_version,
        operation_id="",
        updated_at=entry.updated_at,
        received_at=entry.received_at,
        confirmed_at=entry.confirmed_at,
    )
