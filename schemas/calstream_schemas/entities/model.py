"""Entities in memory: copies of what each system said, and the truth folded from them.

Values are in the clear here; sealing happens where an entity is written (`entities.avro`).
"""

import uuid
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import NamedTuple

from calstream_core.record import record
from calstream_core.sealing import Erased

Value = str | int | bool | tuple[str, ...] | Erased | None
"""A field's value. None means that the system says it is empty; absent is not the same.

Erased is the value of a sealed field whose key was destroyed. It equals nothing but itself, is
found by nothing, and is written nowhere but where it stood.
"""

Values = Mapping[str, Value]
"""Values by field name. A field that is not in it is absent: nothing was said of it."""

_NAMESPACE = uuid.UUID("5c7f9a54-3f0e-5f0b-9d2a-6f1d6a3c1c55")


class NaturalId(NamedTuple):
    """What a system calls an object. Written as `system/type/id`; an id may contain `/`."""

    system: str
    object_type: str
    object_id: str

    def __str__(self) -> str:
        return f"{self.system}/{self.object_type}/{self.object_id}"

    @property
    def parent(self) -> "NaturalId":
        """The same without the last part of the object's id."""
        return self._replace(object_id=self.object_id.rpartition("/")[0])

    @classmethod
    def parse(cls, text: str) -> "NaturalId":
        """The inverse of `str`."""
        system, object_type, object_id = text.split("/", 2)
        return cls(system, object_type, object_id)


class Stamp(NamedTuple):
    """When a system said something, in that system's own order.

    A system either numbers its versions or not; a numbered statement is newer than one without.
    """

    source_version: int  # -1 where the system gives none
    modified_at: int  # microseconds
    by_self: bool  # Calstream wrote it there


@record
class Register:
    """What one system last said of one group.

    Attributes:
        values: the group's values as that system has them.
        stamps: when it said these values since it last said others, oldest first; never empty.
        differed: the stamp at which it last said other values, if it did.
    """

    values: Values
    stamps: tuple[Stamp, ...]
    differed: Stamp | None = None

    @property
    def by_self(self) -> bool:
        """Whether Calstream wrote these values, so that the system did not speak for itself."""
        for stamp in self.stamps:  # noqa: SIM110 - asked for every group of every copy
            if stamp.by_self:
                return True
        return False

    @property
    def changed_at(self) -> int:
        """Microseconds at which the system changed to these values, as far as is known."""
        return self.stamps[0].modified_at

    @property
    def modified_at(self) -> int:
        """Microseconds at which the system last said them."""
        return self.stamps[-1].modified_at


@record
class Copy:
    """What one object of one system holds of an entity.

    Attributes:
        role: what the system is to us: `calendar`, `crm`, `payments`, `meetings`, `rules`.
        gone_at: when the object was last said to exist there no longer, microseconds; None if it
            never was. What it said still counts.
        clamped: the times of change that lay in the future when we first heard of them, and when
            that was, by time; statements of that time count as of then.
    """

    id: NaturalId
    role: str
    registers: Mapping[str, Register] = field(default_factory=dict)
    gone_at: int | None = None
    clamped: tuple[tuple[int, int], ...] = ()

    @property
    def gone(self) -> bool:
        """Whether the object does not exist there: its system has said nothing later than that.

        A later word brings it back, an older one that comes late does not. What Calstream wrote is
        no such word.
        """
        if self.gone_at is None:
            return False
        said = (r.modified_at for r in self.registers.values() if not r.by_self)
        return self.gone_at >= max(said, default=0)


@record
class Decision:
    """Whose values a group has, and by which rule."""

    id: NaturalId
    rule: str


@record
class Cause:
    """The observation that made a version, for tracing and for measuring delay."""

    observation_id: str
    received_at: int
    occurred_at: int


@record
class Merge:
    """Says that an entity is another one, on somebody's word. Its copies are the other's now.

    Attributes:
        into: the id of the entity that it is; that one may have been merged in its turn.
        by: who decided.
        at: when it was decided, microseconds.
        objects: the copies that it brought; an unmerge gives them back.
        shared: those of them that the other had too, and keeps after an unmerge.
    """

    into: str
    by: str
    at: int
    objects: tuple[NaturalId, ...] = ()
    shared: tuple[NaturalId, ...] = ()


@record
class Entity:
    """One version of one entity.

    Attributes:
        version: 1 for the first; raised by one whenever a copy, an id or a reference changes.
        copies: by natural id.
        values: the truth: the values of every group that somebody spoke of.
        decisions: for each of those groups who decided it, and by which rule.
        references: for each reference field that is known, the id of the entity it points to.
        match_keys: what a contact is known by: a letter for the kind of key and a keyed hash each.
        merge: set if it was merged into another one; then it has no copies.
        apart: ids of contacts of which somebody said that they are other people.
        erasing_since: when it was asked to erase what is personal here; None once it is done.
        erased_at: when what was personal here was last erased.
        deleted_at: since when, microseconds, no system has it any more; None while one does.
    """

    workspace: str
    kind: str
    id: str
    version: int
    created_at: int
    cause: Cause
    copies: Mapping[NaturalId, Copy] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    match_keys: tuple[bytes, ...] = ()
    merge: Merge | None = None
    apart: tuple[str, ...] = ()
    erasing_since: int | None = None
    erased_at: int | None = None
    deleted_at: int | None = None

    @property
    def key(self) -> str:
        """The record's key: `workspace/kind/id`."""
        return entity_key(self.workspace, self.kind, self.id)

    def copies_of(self, system: str) -> tuple[Copy, ...]:
        """This entity's copies in one system."""
        return tuple(c for c in self.copies.values() if c.id.system == system)


def entity_key(workspace: str, kind: str, id_: str) -> str:
    """The key of an entity on every topic: plain text without personal data."""
    return f"{workspace}/{kind}/{id_}"


def kind_of_key(key: str) -> str:
    """The kind of the entity that a key names."""
    return key.split("/", 2)[1]


@lru_cache(20_000)  # asked for when keys are made ahead, and when they are used
def entity_id(workspace: str, kind: str, first: NaturalId) -> str:
    """The id of the entity that `first` was the first to name; the same in every replay."""
    return str(uuid.uuid5(_NAMESPACE, f"{workspace}/{kind}/{first}"))
