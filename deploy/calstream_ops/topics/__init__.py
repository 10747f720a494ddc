"""The topics of an installation: made here and nowhere else, and checked against the catalogue."""

from calstream_ops.topics.admin import TopicAdmin
from calstream_ops.topics.state import (
    MISSING,
    PARTITIONS,
    REPLICAS,
    Difference,
    Outcome,
    TopicState,
)

__all__ = [
    "MISSING",
    "PARTITIONS",
    "REPLICAS",
    "Difference",
    "Outcome",
    "TopicAdmin",
    "TopicState",
]
