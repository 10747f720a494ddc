"""The request bodies, as strict as HubSpot's specification writes them.

The live API forgives some of this (it takes a create without `associations`); the simulator does
not, so that what it takes stands on the specification. Unknown fields are ignored, as there.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class Body(BaseModel):
    """A JSON object whose names are written in camel case. A field may be absent, never null."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _has_no_null(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for field in cls.model_fields.values():
                if field.alias in data and data[field.alias] is None:
                    raise ValueError(f"{field.alias} is null")
        return data


class AssociationSpec(Body):
    """An association type."""

    association_category: Literal["HUBSPOT_DEFINED", "INTEGRATOR_DEFINED", "USER_DEFINED", "WORK"]
    association_type_id: Int32


class ObjectId(Body):
    """A reference to an object."""

    id: str


class NewAssociation(Body):
    """An association made together with an object."""

    to: ObjectId
    types: list[AssociationSpec]


class CreateObject(Body):
    """The body of a create."""

    properties: dict[str, str]
    associations: list[NewAssociation]


class UpdateObject(Body):
    """The body of a patch."""

    properties: dict[str, str]


class CreateRow(CreateObject):
    """One input of a batch create."""

    object_write_trace_id: str | None = None


class WriteRow(Body):
    """One input of a batch update or upsert."""

    id: str
    properties: dict[str, str]
    id_property: str | None = None
    object_write_trace_id: str | None = None


class BatchCreate(Body):
    """The body of a batch create."""

    inputs: list[CreateRow]


class BatchWrite(Body):
    """The body of a batch update or upsert."""

    inputs: list[WriteRow]


class BatchIds(Body):
    """The body of a batch archive."""

    inputs: list[ObjectId]


class GdprDelete(Body):
    """The body of a deletion for ever."""

    object_id: str
    id_property: str | None = None


class BatchRead(Body):
    """The body of a batch read."""

    inputs: list[ObjectId]
    properties: list[str]
    properties_with_history: list[str]
    id_property: str | None = None


class Filter(Body):
    """One condition."""

    property_name: str
    operator: Literal[
        "BETWEEN", "CONTAINS_TOKEN", "EQ", "GT", "GTE", "HAS_PROPERTY", "IN", "LT", "LTE",
        "NEQ", "NOT_CONTAINS_TOKEN", "NOT_HAS_PROPERTY", "NOT_IN",
    ]  # fmt: skip
    value: str | None = None
    high_value: str | None = None
    values: list[str] | None = None


class FilterGroup(Body):
    """Conditions that must all hold; groups are alternatives."""

    filters: list[Filter]


class Search(Body):
    """The body of a search."""

    filter_groups: list[FilterGroup]
    properties: list[str]
    limit: Int32
    after: str
    sorts: list[str]
    query: str | None = None
