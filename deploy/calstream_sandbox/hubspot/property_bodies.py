"""The request bodies of property definitions; see `bodies` for how strict they are."""

from typing import Literal

from pydantic import Field

from calstream_sandbox.hubspot.bodies import Body, Int32

_FieldType = Literal[
    "booleancheckbox", "calculation_equation", "checkbox", "date", "file", "html", "number",
    "phonenumber", "radio", "select", "text", "textarea",
]  # fmt: skip
_PropertyType = Literal[
    "bool", "date", "datetime", "enumeration", "number", "phone_number", "string"
]
_Sensitivity = Literal["highly_sensitive", "non_sensitive", "sensitive"]


class OptionInput(Body):
    """One option of an enumeration."""

    label: str
    value: str
    display_order: Int32
    hidden: bool
    description: str = ""


class PropertyCreate(Body):
    """The definition of a new property. The pattern of the name is HubSpot's."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")
    label: str
    type: _PropertyType
    field_type: _FieldType
    group_name: str
    options: list[OptionInput] = Field(default_factory=list)
    description: str = ""
    display_order: Int32 = -1
    has_unique_value: bool = False
    hidden: bool = False
    form_field: bool = False
    external_options: bool = False
    data_sensitivity: _Sensitivity = "non_sensitive"


class PropertyUpdate(Body):
    """A change of a definition; what is absent stays. `hasUniqueValue` can't be changed."""

    label: str | None = None
    type: _PropertyType | None = None
    field_type: _FieldType | None = None
    group_name: str | None = None
    options: list[OptionInput] | None = None
    description: str | None = None
    display_order: Int32 | None = None
    hidden: bool | None = None
    form_field: bool | None = None


class PropertyName(Body):
    """A reference to a property."""

    name: str


class BatchPropertyCreate(Body):
    """The body of a batch create of properties."""

    inputs: list[PropertyCreate]


class BatchPropertyRead(Body):
    """The body of a batch read of properties."""

    inputs: list[PropertyName]
    archived: bool
    data_sensitivity: _Sensitivity


class OldBatchPropertyRead(Body):
    """The same in v3, whose official client has no way to give the sensitivity."""

    inputs: list[PropertyName]
    archived: bool
    data_sensitivity: _Sensitivity = "non_sensitive"


class BatchPropertyNames(Body):
    """The body of a batch archive of properties."""

    inputs: list[PropertyName]


class GroupCreate(Body):
    """A new property group."""

    name: str
    label: str
    display_order: Int32 = -1
