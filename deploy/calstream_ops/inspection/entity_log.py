"""Finds entities and their versions in the log, without decoding what is not asked for.

A workspace's entities are in one partition; it is read from its beginning to its end.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from calstream_core.errors import Code, RecordError
from calstream_core.kafka import partition_of
from calstream_core.settings import KafkaSettings
from calstream_ops.inspection.keys import SealerOf
from calstream_ops.inspection.log_reader import LogReader, LogRecord
from calstream_schemas.codec import Poison
from calstream_schemas.entities import Entity, NaturalId, entity_id, entity_key
from calstream_schemas.entities.avro import decode_entity, email_hash
from calstream_schemas.topics import ENTITIES, full_name

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an entity as it lies in the log; None in place of an entity is a deletion."""

    record: LogRecord
    entity: Entity | None


@dataclass(frozen=True, slots=True)
class Line:
    """An entity as its newest record's headers tell of it."""

    key: str
    kind: str
    version: int
    timestamp_ms: int


class EntityLog:
    """The topic `entities` of an installation.

    Args:
        reader: reads it.
        kafka: the topic's name and the number of partitions.
        sealer_of: opens what is sealed.
    """

    def __init__(self, reader: LogReader, kafka: KafkaSettings, sealer_of: SealerOf) -> None:
        self._reader = reader
        self._topic = full_name(ENTITIES, kafka)
        self._partitions = kafka.partitions
        self._sealer_of = sealer_of

    def by_key(self, key: str) -> Entity | None:
        """The newest version of an entity, or None where there is none.

        Raises:
            RecordError: it can't be read.
        """
        versions = self._versions(key)
        return self._decoded(versions[-1]).entity if versions else None

    def by_natural_id(self, workspace: str, kind: str, natural_id: NaturalId) -> Entity | None:
        """The entity of which an object of some system is a copy.

        Raises:
            RecordError: it can't be read.
        """
        named_first = self.by_key(
            entity_key(workspace, kind, entity_id(workspace, kind, natural_id))
        )
        if named_first is not None and natural_id in named_first.copies:
            return named_first
        needle = natural_id.object_id.encode()
        found = self._matching(
            workspace,
            kind,
            lambda record: record.value is not None and needle in record.value,
            lambda e: natural_id in e.copies,
        )
        return found[0] if found else None

    def by_email(self, workspace: str, email: str) -> list[Entity]:
        """The contacts with an address; it must be in the form in which addresses are kept.

        Raises:
            ConfigError: the workspace has no key here.
            RecordError: one can't be read.
        """
        # each person has a key of their own: nothing can be looked for in what is sealed
        hash_ = email_hash(email, self._sealer_of(workspace))
        return self._matching(
            workspace,
            _CONTACT,
            lambda record: record.headers.get("email_hash") == hash_,
            lambda e: e.values.get("email") == email,
        )

    def history(self, key: str) -> list[Version]:
        """Every version of an entity that is still in the log, oldest first.

        Raises:
            RecordError: one can't be read.
        """
        return [self._decoded(record) for record in self._versions(key)]

    def lines(self, workspace: str, kind: str | None = None) -> list[Line]:
        """The entities of a workspace, by key; those that were deleted are left out."""
        found: dict[str, Line] = {}
        for record in self._scan(workspace):
            of_kind = record.key.split("/", 2)[1]
            if kind is not None and of_kind != kind:
                continue
            if record.value is None:
                found.pop(record.key, None)
                continue
            version = record.headers.get("version", "")
            found[record.key] = Line(
                record.key, of_kind, int(version) if version.isdecimal() else 0, record.timestamp_ms
            )
        return [found[key] for key in sorted(found)]

    def newest(self, workspace: str, kind: str | None = None) -> Iterator[Entity]:
        """The newest version of each entity of a workspace, or of a kind of it, by key.

        Raises:
            ConfigError: the workspace has no key here.
            RecordError: one can't be read.
        """
        prefix = f"{workspace}/{kind}/" if kind is not None else f"{workspace}/"
        found = {
            record.key: record for record in self._scan(workspace) if record.key.startswith(prefix)
        }
        for key in sorted(found):
            entity = self._decoded(found[key]).entity
            if entity is not None:
                yield entity

    def count_by_kind(self, workspaces: Callable[[str], bool]) -> Counter[str]:
        """How many entities there are of each kind.

        Args:
            workspaces: tells whether a workspace counts.
        """
        alive: dict[str, str] = {}
        for record in self._reader.read(self._reader.ranges([self._topic])):
            parts = record.key.split("/", 2)
            if len(parts) != len(("workspace", "kind", "id")) or not workspaces(parts[0]):
                continue
            if record.value is None:
                alive.pop(record.key, None)
            else:
                alive[record.key] = parts[1]
        return Counter(alive.values())

    def _scan(self, workspace: str) -> Iterator[LogRecord]:
        partition = partition_of(workspace, self._partitions)
        prefix = f"{workspace}/"
        for record in self._reader.read(self._reader.ranges([self._topic], [partition])):
            if record.key.startswith(prefix) and record.key.count("/") > 1:
                yield record

    def _versions(self, key: str) -> list[LogRecord]:
        workspace = key.partition("/")[0]
        return [record for record in self._scan(workspace) if record.key == key]

    def _matching(
        self,
        workspace: str,
        kind: str,
        may_be: Callable[[LogRecord], bool],
        is_wanted: Callable[[Entity], bool],
    ) -> list[Entity]:
        """The entities of a kind whose newest version is wanted.

        Args:
            workspace: whose.
            kind: which.
            may_be: whether a record is worth decoding.
            is_wanted: whether it is one.
        """
        prefix = f"{workspace}/{kind}/"
        candidates: dict[str, LogRecord] = {}
        for record in self._scan(workspace):
            if not record.key.startswith(prefix):
                continue
            if record.value is not None and may_be(record):
                candidates[record.key] = record
            else:
                candidates.pop(record.key, None)  # an older version had it
        found = [self._decoded(record).entity for record in candidates.values()]
        return [entity for entity in found if entity is not None and is_wanted(entity)]

    def _decoded(self, record: LogRecord) -> Version:
        if record.value is None:
            return Version(record, None)
        entity = decode_entity(record.value, self._sealer_of)
        if isinstance(entity, Poison):
            raise RecordError(
                entity.code, f"The record of {record.key} can't be read: {entity.reason}."
            )
        return Version(record, entity)


def is_entity_id(text: str) -> bool:
    """Whether a text has the form of an entity's own id."""
    return _UUID.fullmatch(text) is not None


def not_found(what: str, hint: str) -> RecordError:
    """The error for an entity that is not there."""
    return RecordError(Code.ENTITY_NOT_FOUND, f"There is no entity {what}.", hint=hint)
