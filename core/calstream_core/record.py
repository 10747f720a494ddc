"""Records: small immutable values, of which the processors make a million in a few seconds."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A dataclass with slots that is frozen for the type checker, and only for it.

    To make one takes a third of the time of one that is frozen when it runs, which sets each field
    by a call. As with those, equal ones have the same hash.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
