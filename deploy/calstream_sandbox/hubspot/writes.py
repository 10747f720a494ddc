"""Writing records: planned first, then applied, so that a refused batch leaves nothing behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from calstream_sandbox.hubspot.associations import AssociationType, not_valid, resolve_types
from calstream_sandbox.hubspot.bodies import NewAssociation
from calstream_sandbox.hubspot.definitions import EMAIL, RECORD_ID
from calstream_sandbox.hubspot.errors import contact_exists, invalid, value_repeated, value_taken
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.portal import Portal
from calstream_sandbox.hubspot.records import Record


@dataclass(frozen=True, slots=True)
class Link:
    """An association to be made with a record."""

    target: Record
    type: AssociationType


@dataclass(frozen=True, slots=True)
class Change:
    """A checked write: canonical values for a record, or for a new one."""

    record: Record | None
    values: Mapping[str, str]
    links: Sequence[Link] = ()


@dataclass(slots=True)
class Writer:
    """Plans and applies the writes of one call.

    Unique values that a planned change takes are claimed against the later changes of the call.
    """

    portal: Portal
    kind: ObjectKind
    _claims: set[tuple[str, str]] = field(default_factory=set)

    def plan(
        self,
        record: Record | None,
        raw: Mapping[str, str],
        associations: Sequence[NewAssociation] = (),
    ) -> Change:
        """Checks a write of `record` (None: a new one); raises HubSpotError, changes nothing."""
        registry = self.portal.properties
        values = registry.check_values(self.kind, raw, owner_exists=self.portal.owners.exists)
        registry.check_required(
            self.kind, values if record is None else {**record.properties, **values}
        )
        links = [link for one in associations for link in self._links(one)]
        claims = self._check_unique(record, values)
        self._claims |= claims
        return Change(record, values, links)

    def apply(self, change: Change) -> Record:
        """Carries out a planned write and lets search know; never fails."""
        portal, now_ms = self.portal, self.portal.now_ms()
        unique = portal.properties.unique_names(self.kind)
        record = change.record
        before = None if record is None else record.properties
        if record is None:
            record = portal.records.add(self.kind, change.values, unique, now_ms)
        else:
            portal.records.change(record, change.values, unique, now_ms)
        for link in change.links:
            portal.links.add(record, link.target, link.type)
        portal.refresh_index()
        portal.index.note(self.kind, record.id, record.properties, now_ms)
        portal.events.note(self.kind, record.id, before, record.properties)
        return record

    def archive(self, record: Record) -> None:
        """Hides a record, parts it from others and lets search know."""
        now_ms = self.portal.now_ms()
        self.portal.records.archive(record, now_ms)
        self.portal.links.forget(record)
        self.portal.index.note(self.kind, record.id, None, now_ms)
        self.portal.events.note(self.kind, record.id, record.properties, None)

    def purge(self, record: Record) -> None:
        """Removes a record for ever, with all that is associated with it."""
        self.archive(record)
        self.portal.records.purge(record)
        self.portal.events.note_purge(self.kind, record.id)

    def find(self, id_property: str | None, value: str) -> Record | None:
        """The record that an id names; raises HubSpotError 400 for a property that can't."""
        if id_property is None or id_property == RECORD_ID:
            return self.portal.records.get(self.kind, value)
        self.portal.properties.check_id_property(self.kind, id_property)
        return self.portal.records.find(self.kind, id_property, canonical_id(id_property, value))

    def _check_unique(
        self, record: Record | None, values: Mapping[str, str]
    ) -> set[tuple[str, str]]:
        claims: set[tuple[str, str]] = set()
        for name in self.portal.properties.unique_names(self.kind):
            value = values.get(name)
            if not value:
                continue
            if name == EMAIL and value in self.portal.barred_emails:
                raise invalid("The address was deleted for ever and is barred")
            holder = self.portal.records.find(self.kind, name, value)
            if holder is not None and holder is not record:
                if name == EMAIL:
                    raise contact_exists(holder.id)
                own_id = 0 if record is None else record.id
                raise value_taken(self.kind.type_id, name, value, own_id, holder.id)
            if (name, value) in self._claims:
                raise value_repeated(name)
            claims.add((name, value))
        return claims

    def _links(self, association: NewAssociation) -> list[Link]:
        links: list[Link] = []
        for one in resolve_types(self.kind, association.types):
            target = self.portal.records.get(one.to_kind, association.to.id)
            if target is None:
                raise not_valid()
            links.append(Link(target, one))
        return links


def canonical_id(id_property: str | None, value: str) -> str:
    """A value as the index of a unique property holds it."""
    return value.strip().lower() if id_property == EMAIL else value
