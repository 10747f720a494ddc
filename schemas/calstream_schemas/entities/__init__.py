"""Entities: what they are made of, and how they are written to `entities`."""

from calstream_schemas.entities.fields import KINDS, Field, FieldType, Group, Kind, kind_of
from calstream_schemas.entities.model import (
    Cause,
    Copy,
    Decision,
    Entity,
    Merge,
    NaturalId,
    Register,
    Stamp,
    Value,
    Values,
    entity_id,
    entity_key,
    kind_of_key,
)

__all__ = [
    "KINDS",
    "Cause",
    "Copy",
    "Decision",
    "Entity",
    "Field",
    "FieldType",
    "Group",
    "Kind",
    "Merge",
    "NaturalId",
    "Register",
    "Stamp",
    "Value",
    "Values",
    "entity_id",
    "entity_key",
    "kind_of",
    "kind_of_key",
]
