"""Reads the erasures of a workspace from the log, and says what a new one would take. No writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calstream_core.errors import RecordError
from calstream_core.kafka import partition_of
from calstream_core.sealing import KeyName, Sealer
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.times import readable
from calstream_processors.resolve.erasing import belongings, cluster, keys_of
from calstream_processors.resolve.identity import IdentityIndex
from calstream_processors.resolve.state import Workspace
from calstream_schemas.codec import Poison
from calstream_schemas.entities import Entity
from calstream_schemas.erasures import Erasure, decode_erasure
from calstream_schemas.topics import ERASURES, full_name


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """What an erasure would take.

    Attributes:
        contacts: the person's, the one that they are by now first.
        theirs: what refers to them: attendances, consents, messages.
        bookings: those that had nobody else.
        kept: how many bookings others come to as well.
        systems: the sinks that are told.
        keys: the data keys that would be destroyed.
    """

    contacts: tuple[Entity, ...]
    theirs: tuple[Entity, ...]
    bookings: tuple[Entity, ...]
    kept: int
    systems: tuple[str, ...]
    keys: frozenset[KeyName]


def erasure_plan(
    entities: Iterable[Entity], contact: Entity, systems: Sequence[str], sealer: Sealer
) -> ErasurePlan:
    """What erasing a contact would take.

    Args:
        entities: the newest versions of all of the workspace.
        contact: whom.
        systems: the sinks.
        sealer: the workspace's.

    Raises:
        RecordError: the contact is not among the entities.
    """
    state = Workspace(IdentityIndex(sealer.keyed_hash))
    for entity in entities:
        state.put(entity)
    contacts = list(cluster(state, contact.workspace, contact.id))
    theirs, bookings = belongings(state, contacts)
    attended = {id_ for one in theirs if (id_ := one.references.get("booking_ref")) is not None}
    return ErasurePlan(
        contacts=tuple(contacts),
        theirs=tuple(theirs),
        bookings=tuple(bookings),
        kept=len(attended - {booking.id for booking in bookings}),
        systems=tuple(systems),
        keys=frozenset(keys_of(state, [*contacts, *theirs, *bookings], systems)),
    )


def erasures_of(reader: LogReader, kafka: KafkaSettings, workspace: str) -> list[Erasure]:
    """The erasures of a workspace, the oldest first.

    Raises:
        RecordError: one can't be read.
        UnavailableError: the broker does not answer.
    """
    topic = full_name(ERASURES, kafka)
    partition = partition_of(workspace, kafka.partitions)
    newest = {
        record.key: record.value
        for record in reader.read(reader.ranges([topic], [partition]))
        if record.key.startswith(f"{workspace}/") and record.value is not None
    }
    found = [read_erasure(key, value) for key, value in newest.items()]
    return sorted(found, key=lambda erasure: (erasure.asked_at, erasure.id))


def read_erasure(key: str, value: bytes) -> Erasure:
    """One record.

    Raises:
        RecordError: it can't be read.
    """
    erasure = decode_erasure(value)
    if isinstance(erasure, Poison):
        raise RecordError(erasure.code, f"The record {key} can't be read: {erasure.reason}.")
    return erasure


def describe_erasure(erasure: Erasure) -> Mapping[str, Any]:
    """An erasure as plain data; nothing personal is in it."""
    return {
        "contact": f"{erasure.workspace}/contact/{erasure.id}",
        "state": erasure.state.value,
        "asked_at": readable(erasure.asked_at),
        "asked_by": erasure.asked_by,
        "deadline": readable(erasure.deadline),
        "entities": list(erasure.entities),
        "keys": len(erasure.keys),
        "opt_outs": [
            {"purpose": each.purpose, "decided_at": readable(each.decided_at)}
            for each in erasure.opt_outs
        ],
        "waits_for": [f"{system} {entity}" for system, entity in erasure.waits_for],
        "receipts": [
            {
                "system": each.system,
                "entity": each.entity,
                "done": each.done.value,
                "at": readable(each.at),
                "detail": each.detail,
            }
            for each in erasure.receipts
        ],
        "dropped_since": erasure.dropped,
    }
