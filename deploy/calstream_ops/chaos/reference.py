"""The plain sequential reference: what a source must have led to, computed record by record.

It knows nothing of batches, transactions, partitions that move, or Kafka.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from calstream_core.errors import RecordError
from calstream_ops.chaos.job import REMOVED, folded, record_id


class SourceRecord(NamedTuple):
    """A record of the source."""

    offset: int
    key: bytes
    value: bytes


class Effect(NamedTuple):
    """A record that a stage wrote.

    Attributes:
        offset: that of the source's record which led to it, in the partition of the same number.
        key: its key.
        value: its value; None removes the key.
    """

    offset: int
    key: bytes
    value: bytes | None


class Kind(StrEnum):
    """What the stages write; each record of the source leads to at most one of each."""

    OUTPUTS = "outputs"
    VERSIONS = "versions"
    DEAD = "dead_letters"
    FORWARDED = "forwarded"


TRANSACTIONAL = (Kind.OUTPUTS, Kind.VERSIONS, Kind.DEAD)
"""What is written once and in order; all else may be repeated."""


@dataclass(slots=True)
class Expected:
    """What one partition of the source leads to.

    Attributes:
        position: the offset behind its last record.
        state: the last state of each key that is there.
        effects: by kind, in order.
    """

    position: int = 0
    state: dict[bytes, bytes] = field(default_factory=dict)
    effects: dict[Kind, list[Effect]] = field(default_factory=lambda: {kind: [] for kind in Kind})


def expected_of(source: Iterable[SourceRecord]) -> Expected:
    """What one partition of the source leads to."""
    found = Expected()
    for offset, key, value in source:
        found.position = offset + 1
        found.effects[Kind.FORWARDED].append(Effect(offset, key, value))
        try:
            number = record_id(value)
        except RecordError:
            found.effects[Kind.DEAD].append(Effect(offset, key, value))
            continue
        state = folded(found.state.get(key), number)
        if state is None:
            found.state.pop(key, None)
        else:
            found.state[key] = state
        found.effects[Kind.VERSIONS].append(Effect(offset, key, state))
        output = REMOVED if state is None else state
        found.effects[Kind.OUTPUTS].append(Effect(offset, key, output))
    return found
