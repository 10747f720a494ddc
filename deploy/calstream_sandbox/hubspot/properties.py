"""The property definitions of an account, by kind of object."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus

from calstream_sandbox.hubspot.definitions import (
    GROUPS,
    RECORD_ID,
    Definition,
    default_definitions,
)
from calstream_sandbox.hubspot.errors import (
    HubSpotError,
    Issue,
    invalid,
    invalid_values,
    not_found,
)
from calstream_sandbox.hubspot.kinds import ObjectKind
from calstream_sandbox.hubspot.values import canonical

MAX_UNIQUE_PROPERTIES = 10  # custom ones, for each kind of object


class PropertyRegistry:
    """Definitions and groups; and the check of values against them."""

    def __init__(self) -> None:
        self._by_kind = {kind: default_definitions(kind) for kind in ObjectKind}
        self._groups = {kind: dict(GROUPS[kind]) for kind in ObjectKind}

    def all(self, kind: ObjectKind) -> list[Definition]:
        """Every definition, those of a new account first."""
        return list(self._by_kind[kind].values())

    def custom_names(self, kind: ObjectKind) -> list[str]:
        """The names that were created through the API."""
        return [known.name for known in self.all(kind) if not known.hubspot_defined]

    def get(self, kind: ObjectKind, name: str) -> Definition:
        """One definition; raises HubSpotError 404."""
        definition = self._by_kind[kind].get(name)
        if definition is None:
            raise not_found(f"Property {name} does not exist", context={"propertyName": [name]})
        return definition

    def find(self, kind: ObjectKind, name: str) -> Definition | None:
        """One definition, or None."""
        return self._by_kind[kind].get(name)

    def unique_names(self, kind: ObjectKind) -> list[str]:
        """The properties whose values are kept unique, apart from the record's own id."""
        return [known.name for known in self.all(kind) if known.unique and known.name != RECORD_ID]

    def check_id_property(self, kind: ObjectKind, name: str) -> None:
        """Raises HubSpotError 400 unless records can be named by this property."""
        definition = self.find(kind, name)
        if definition is None or not definition.unique:
            raise invalid(
                f"Unable to perform update/upsert by non-unique {kind.type_id} property {name}"
            )

    def create(
        self, kind: ObjectKind, definition: Definition, *, unique_allowed: bool
    ) -> Definition:
        """Adds a definition; raises HubSpotError 409 when the name is taken, 400 on a bad one."""
        if definition.name in self._by_kind[kind]:
            raise HubSpotError(
                HTTPStatus.CONFLICT,
                "OBJECT_ALREADY_EXISTS",
                f"A property named '{definition.name}' already exists.",
                row_level=True,
            )
        self._check_definition(kind, definition)
        if definition.unique:
            self._check_unique(kind, definition, allowed=unique_allowed)
        self._by_kind[kind][definition.name] = definition
        return definition

    def update(
        self, kind: ObjectKind, name: str, change: Callable[[Definition], Definition]
    ) -> Definition:
        """Replaces a custom definition by `change` of it; raises HubSpotError 400 or 404."""
        old = self._own(kind, name)
        new = replace(change(old), unique=old.unique)
        self._check_definition(kind, new)
        self._by_kind[kind][name] = new
        return new

    def archive(self, kind: ObjectKind, name: str) -> None:
        """Removes a custom definition; raises HubSpotError 400 or 404."""
        self._own(kind, name)
        del self._by_kind[kind][name]

    def check_values(
        self, kind: ObjectKind, raw: Mapping[str, str], *, owner_exists: Callable[[str], bool]
    ) -> dict[str, str]:
        """The values as HubSpot keeps them; raises HubSpotError 400 that names every bad one."""
        checked: dict[str, str] = {}
        issues: list[Issue] = []
        for name, value in raw.items():
            result = self._check_value(kind, name, value, owner_exists)
            if isinstance(result, Issue):
                issues.append(result)
            else:
                checked[name] = result
        if issues:
            raise invalid_values(issues)
        return checked

    def check_required(self, kind: ObjectKind, properties: Mapping[str, str]) -> None:
        """Raises HubSpotError 400 when a record would lack a required property."""
        missing = [
            known.name
            for known in self._by_kind[kind].values()
            if known.required and not properties.get(known.name)
        ]
        if missing:
            raise invalid(
                f"Error creating {kind.singular.upper()}. Some required properties were not set.",
                context={"properties": missing},
            )

    def groups(self, kind: ObjectKind) -> dict[str, str]:
        """The labels of the groups, by name."""
        return dict(self._groups[kind])

    def add_group(self, kind: ObjectKind, name: str, label: str) -> None:
        """Adds a group; raises HubSpotError 409 when the name is taken."""
        if name in self._groups[kind]:
            raise HubSpotError(
                HTTPStatus.CONFLICT,
                "OBJECT_ALREADY_EXISTS",
                f"A property group named '{name}' already exists.",
            )
        self._groups[kind][name] = label

    def _check_value(
        self, kind: ObjectKind, name: str, value: str, owner_exists: Callable[[str], bool]
    ) -> str | Issue:
        definition = self._by_kind[kind].get(name)
        if definition is None:
            return Issue(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
        if definition.read_only:
            return Issue(name, "READ_ONLY_VALUE", f'"{name}" is a read only property')
        return canonical(definition, value, owner_exists=owner_exists)

    def _own(self, kind: ObjectKind, name: str) -> Definition:
        definition = self.get(kind, name)
        if definition.hubspot_defined:
            raise invalid(f"Property {name} is defined by HubSpot and can't be changed")
        return definition

    def _check_definition(self, kind: ObjectKind, definition: Definition) -> None:
        if definition.group not in self._groups[kind]:
            raise invalid(f"Property group {definition.group} does not exist")
        if definition.field_type not in _FIELD_TYPES[definition.type]:
            raise invalid(f"Field type {definition.field_type} does not fit type {definition.type}")
        values = [option.value for option in definition.options]
        if len(values) != len(set(values)):
            raise invalid(f"Property {definition.name} has two options with the same value")
        if definition.type == "enumeration" and not values:
            raise invalid(f"Property {definition.name} is an enumeration without options")

    def _check_unique(self, kind: ObjectKind, definition: Definition, *, allowed: bool) -> None:
        custom = [known for known in self.all(kind) if known.unique and not known.hubspot_defined]
        if not allowed or definition.type not in {"string", "number"}:
            raise invalid(
                f"Property {definition.name} of {kind.value} can't be made unique", context={}
            )
        if len(custom) >= MAX_UNIQUE_PROPERTIES:
            raise invalid(
                f"{kind.value} can't have more than {MAX_UNIQUE_PROPERTIES} unique properties"
            )


_FIELD_TYPES = {
    "string": {"text", "textarea", "html", "phonenumber", "file"},
    "phone_number": {"phonenumber"},
    "number": {"number", "calculation_equation"},
    "bool": {"booleancheckbox"},
    "enumeration": {"booleancheckbox", "checkbox", "radio", "select"},
    "date": {"date"},
    "datetime": {"date"},
}
