"""Associations between records: the types that exist, and the graph."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calstream_sandbox.hubspot.bodies import AssociationSpec
from calstream_sandbox.hubspot.errors import HubSpotError, invalid
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.records import Record


@dataclass(frozen=True, slots=True)
class AssociationType:
    """A type of association in one direction; HubSpot defines them in pairs."""

    id: int
    name: str
    from_kind: ObjectKind
    to_kind: ObjectKind
    inverse_id: int


# The constants are those of hubspot.crm.association_type in HubSpot's own client.
MEETING_TO_CONTACT = AssociationType(
    200, "meeting_event_to_contact", ObjectKind.MEETINGS, ObjectKind.CONTACTS, 199
)
CONTACT_TO_MEETING = AssociationType(
    199, "contact_to_meeting_event", ObjectKind.CONTACTS, ObjectKind.MEETINGS, 200
)
_TYPES = {one.id: one for one in (MEETING_TO_CONTACT, CONTACT_TO_MEETING)}


def default_type(from_kind: ObjectKind, to_kind: ObjectKind) -> AssociationType:
    """The unlabelled type between two kinds; raises HubSpotError 400 when there is none."""
    for one in _TYPES.values():
        if (one.from_kind, one.to_kind) == (from_kind, to_kind):
            return one
    raise invalid(f"No default association type exists from {from_kind.value} to {to_kind.value}")


def resolve_types(
    from_kind: ObjectKind, specs: Sequence[AssociationSpec], to_kind: ObjectKind | None = None
) -> list[AssociationType]:
    """The types that specs name; raises HubSpotError 400 unless each fits the kinds."""
    types = [
        _TYPES.get(spec.association_type_id)
        if spec.association_category == "HUBSPOT_DEFINED"
        else None
        for spec in specs
    ]
    fitting = [
        one
        for one in types
        if one is not None and one.from_kind is from_kind and to_kind in {None, one.to_kind}
    ]
    if not specs or len(fitting) < len(specs):
        raise not_valid()
    return fitting


def not_valid() -> HubSpotError:
    """400 for an association that can't be made."""
    return invalid("One or more associations are not valid")


_Node = tuple[ObjectKind, int]


class AssociationGraph:
    """Which records are associated, by which types. Every association has its inverse."""

    def __init__(self) -> None:
        self._edges: dict[_Node, dict[_Node, set[int]]] = {}

    def wipe(self) -> None:
        """Parts everything."""
        self._edges.clear()

    def add(self, source: Record, target: Record, one: AssociationType) -> None:
        """Associates two records, in both directions; again changes nothing."""
        self._add((source.kind, source.id), (target.kind, target.id), one.id)
        self._add((target.kind, target.id), (source.kind, source.id), one.inverse_id)

    def remove(
        self, source: Record, target: Record, types: Iterable[AssociationType] | None = None
    ) -> None:
        """Takes away these types, or all; without one left the two are parted."""
        here, there = (source.kind, source.id), (target.kind, target.id)
        known = self._edges.get(here, {}).get(there, set())
        chosen = list(_TYPES.values() if types is None else types)
        for one in chosen:
            if one.id in known:
                self._drop(here, there, one.id)
                self._drop(there, here, one.inverse_id)

    def forget(self, record: Record) -> None:
        """Parts a record from everything."""
        here = (record.kind, record.id)
        for there in self._edges.pop(here, {}):
            self._edges[there].pop(here, None)

    def targets(self, record: Record, kind: ObjectKind) -> list[tuple[int, list[AssociationType]]]:
        """The associated records of a kind with their types, by id."""
        edges = self._edges.get((record.kind, record.id), {})
        return sorted(
            (target_id, [_TYPES[type_id] for type_id in sorted(type_ids)])
            for (target_kind, target_id), type_ids in edges.items()
            if target_kind is kind
        )

    def _add(self, here: _Node, there: _Node, type_id: int) -> None:
        self._edges.setdefault(here, {}).setdefault(there, set()).add(type_id)

    def _drop(self, here: _Node, there: _Node, type_id: int) -> None:
        types = self._edges[here][there]
        types.discard(type_id)
        if not types:
            del self._edges[here][there]
