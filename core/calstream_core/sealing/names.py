"""What data keys are called: the scope in which one seals, and whose within the scope.

Which records use which: `core/decisions/0004-a-data-key-for-each-person.md`.
"""

from enum import StrEnum
from typing import NamedTuple

from calstream_core.clock import from_microseconds


class Scope(StrEnum):
    """What a data key is for."""

    CONTACT = "contact"  # all that is known of one person
    OBJECT = "object"  # one object of one system, or one entity that is no person's alone
    DAY = "day"  # webhooks as they came, by the day (UTC) of their acceptance
    HASH = "hash"  # one a workspace: hashes for comparing, seals nothing
    WORKSPACE = "workspace"  # what earlier versions sealed everything with; opens, never seals

    __hash__ = str.__hash__  # every look for a key hashes it; that of enums is in Python


class KeyName(NamedTuple):
    """A data key's name within its workspace. Holds nothing personal."""

    scope: Scope
    name: str


HASH = KeyName(Scope.HASH, "")
"""The key of a workspace's hashes."""


def contact_key(contact_id: str) -> KeyName:
    """The key of a person, by our id."""
    return KeyName(Scope.CONTACT, contact_id)


def object_key(*parts: str) -> KeyName:
    """The key of one object: system, type and id there; or kind and our id."""
    return KeyName(Scope.OBJECT, "/".join(parts))


def day_key(microseconds: int) -> KeyName:
    """The key of the day (UTC) in which a moment lies."""
    return KeyName(Scope.DAY, from_microseconds(microseconds).date().isoformat())
