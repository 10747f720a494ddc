"""Audit entries: what changed of the truth or was decided, and why; each names the one before it.

An entry holds keys, names of groups, rules and keyed hashes, and nothing of what anybody said. The
chain is over the values as they lie in the topic, so whoever has the topic can verify it.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from calstream_core.errors import Code, RecordError
from calstream_schemas import codec
from calstream_schemas.codec import Poison
from calstream_schemas.entities import entity_key

NOBODY = -1
"""The place of the copy of a group that nobody says anything of any more."""

_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as the chain knows it: its number, the hash of its value, and its time.

    Attributes:
        received_at: of the entry; tells whether it is still to be found in the topic.
    """

    sequence: int
    hash: bytes
    received_at: int = 0

    def encode(self) -> bytes:
        """As JSON, for `resolver.state`."""
        return orjson.dumps(
            {
                "sequence": self.sequence,
                "hash": self.hash.hex(),
                "received_at": self.received_at,
            }
        )

    @classmethod
    def decode(cls, raw: bytes | str) -> "Link":
        """The inverse.

        Raises:
            RecordError: it is no link.
        """
        try:
            body = orjson.loads(raw)
            hash_ = bytes.fromhex(body["hash"])
            return cls(int(body["sequence"]), hash_, int(body["received_at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(Code.RECORD_UNREADABLE, f"not a link: {error!r}") from error


START = Link(0, bytes(_HASH_BYTES))
"""What a chain begins after."""


@dataclass(frozen=True, slots=True)
class AuditGroup:
    """A group of fields that changed.

    Attributes:
        decided_for: whose copy decided (system/type/id); None where nobody says anything any more.
        rule: by which rule; empty where nobody does.
        same: whether the values are as before, so that only the decision is another one.
    """

    group: str
    decided_for: str | None
    rule: str
    same: bool


@dataclass(frozen=True, slots=True)
class AuditChange:
    """A new version of an entity.

    Attributes:
        cause: the observation that made it.
        groups: what changed of its truth; empty where only its copies, ids or references did.
        before, after: keyed hashes of its content; no `before` for a new entity, no `after` for one
            that is forgotten.
    """

    key: str
    version: int
    cause: str
    groups: tuple[AuditGroup, ...]
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class AuditConflict:
    """A conflict that was opened, changed or ended."""

    key: str
    group: str
    state: str
    rule: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry, read.

    Attributes:
        link: its number and the hash of its value.
        previous: the hash of the entry before it, as it says.
        event: the observation's fact; `refold` where entities were folded again.
        source: the object that the observation is about (system/type/id).
        about, other: keys of the entities that a decision is about.
        rule_set: the rules that are in force from now on, for `rules` and `refold`.
    """

    writer: str
    partition: int
    link: Link
    previous: bytes
    workspace: str
    event: str
    observation_id: str
    source: str
    received_at: int
    occurred_at: int
    about: str | None
    other: str | None
    decided_by: str | None
    rule_set: str | None
    changes: tuple[AuditChange, ...]
    conflicts: tuple[AuditConflict, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the entities that it says something of."""
        named = {each for each in (self.about, self.other) if each is not None}
        changed = {each.key for each in self.changes}
        return frozenset(named | changed | {each.key for each in self.conflicts})


def encode_audit_entry(body: dict[str, Any]) -> bytes:
    """An entry's value, from the fields of its schema."""
    return codec.encode("AuditEntry", body)


def hash_of(raw: bytes) -> bytes:
    """What the next entry of the chain names: SHA-256 of an entry's value."""
    return hashlib.sha256(raw).digest()


def decode_audit_entry(raw: bytes) -> AuditEntry | Poison:
    """Reads an entry's value; never raises for what is in it."""
    decoded = codec.decode(raw, "AuditEntry")
    if isinstance(decoded, Poison):
        return decoded
    body = decoded.body
    try:
        return _entry(body, raw)
    except IndexError:
        return Poison(raw, Code.RECORD_UNREADABLE, "it names a copy that is not in it")


def _entry(body: dict[str, Any], raw: bytes) -> AuditEntry:
    workspace, objects = body["workspace"], body["objects"]

    def key(kind: str, id_: str | None) -> str | None:
        return None if id_ is None else entity_key(workspace, kind, id_)

    return AuditEntry(
        writer=body["writer"],
        partition=body["partition"],
        link=Link(body["sequence"], hash_of(raw), body["received_at"]),
        previous=body["previous"],
        workspace=workspace,
        event=body["event"],
        observation_id=body["observation_id"],
        source=body["source"],
        received_at=body["received_at"],
        occurred_at=body["occurred_at"],
        about=key(body["kind"], body["about"]),
        other=key(body["kind"], body["other"]),
        decided_by=body["decided_by"],
        rule_set=body["rule_set"],
        changes=tuple(
            AuditChange(
                entity_key(workspace, its["kind"], its["id"]),
                its["version"],
                its["cause"] or body["observation_id"],
                tuple(_group(each, objects) for each in its["groups"]),
                its["before"],
                its["after"],
            )
            for its in body["changes"]
        ),
        conflicts=tuple(
            AuditConflict(
                entity_key(workspace, its["kind"], its["id"]),
                its["group"],
                its["state"],
                its["rule"],
            )
            for its in body["conflicts"]
        ),
    )


def _group(body: dict[str, Any], objects: list[str]) -> AuditGroup:
    place = body["object"]
    decided_for = None if place == NOBODY else objects[place]
    return AuditGroup(body["group"], decided_for, body["rule"], body["same"])
