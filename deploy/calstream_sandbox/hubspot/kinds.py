"""The kinds of CRM object that the simulator holds, and their names on the wire."""

from enum import StrEnum


class ObjectKind(StrEnum):
    """A kind of object; the value is the plural that HubSpot's replies use."""

    CONTACTS = "contacts"
    MEETINGS = "meetings"

    @property
    def singular(self) -> str:
        """The name in messages and in an association's type."""
        return self.value.removesuffix("s")

    @property
    def type_id(self) -> str:
        """HubSpot's own id of the object type."""
        return _TYPE_IDS[self]


_TYPE_IDS = {ObjectKind.CONTACTS: "0-1", ObjectKind.MEETINGS: "0-47"}
_BY_NAME = {
    name: kind
    for kind in ObjectKind
    for name in (kind.value, kind.singular, kind.type_id, kind.singular.upper())
}


def find_kind(name: str) -> ObjectKind | None:
    """The kind with this plural, singular or type id; None if the simulator has no such kind."""
    return _BY_NAME.get(name)
