"""What a kind of entity is made of: groups, and in them fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType


class FieldType(StrEnum):
    """What a field's value is in Python and in Avro."""

    TEXT = "string"
    WHOLE = "long"
    INSTANT = "instant"  # microseconds since 1970 in UTC, an int in Python
    FLAG = "boolean"
    TEXTS = "strings"  # a tuple of str in Python


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        name: unique within its kind.
        type: what it holds.
        doc: one line for the reference page.
        sealed: whether it is personal and encrypted before it is written; only TEXT can be.
        reference: the kind whose natural id (`system/type/id`) the field holds, if it is one.
    """

    name: str
    type: FieldType
    doc: str
    sealed: bool = False
    reference: str | None = None


@dataclass(frozen=True)
class Group:
    """Fields that are said, kept and decided together."""

    name: str
    fields: tuple[Field, ...]

    @cached_property
    def field_names(self) -> tuple[str, ...]:
        """The names of its fields."""
        return tuple(field.name for field in self.fields)


@dataclass(frozen=True)
class Kind:
    """One kind of entity.

    Attributes:
        name: as in keys, for example `booking`.
        record: the Avro record's name, for example `Booking`.
        groups: its groups, in the order in which they are written.
        doc: one line for the reference page.
        is_history: whether each object is one event in the life of an entity, which keeps them
            all; the object's id up to its last `/` names the entity.
    """

    name: str
    record: str
    groups: tuple[Group, ...]
    doc: str = ""
    is_history: bool = False

    @cached_property
    def group_by_name(self) -> Mapping[str, Group]:
        """Its groups by name."""
        return MappingProxyType({group.name: group for group in self.groups})

    @cached_property
    def field_by_name(self) -> Mapping[str, Field]:
        """All fields of all groups by name."""
        return MappingProxyType({f.name: f for group in self.groups for f in group.fields})

    @cached_property
    def sealed_fields(self) -> frozenset[str]:
        """The names of the fields that are sealed."""
        return frozenset(name for name, field in self.field_by_name.items() if field.sealed)

    @cached_property
    def references(self) -> tuple[tuple[str, Field], ...]:
        """The fields that point to other entities, each with the name of its group."""
        return tuple((g.name, f) for g in self.groups for f in g.fields if f.reference)
