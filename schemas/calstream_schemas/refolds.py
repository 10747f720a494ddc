"""Refolds: the entities of a workspace folded again from their copies, a slice at a time.

A slice is what an observation does, so a replay of the log does the same ones at the same places.
Which entity belongs to which slice follows from its id alone: not from what else is there, nor from
where a worker went on after a crash.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from calstream_core.errors import Code, RecordError
from calstream_schemas.entities import Cause, kind_of_key
from calstream_schemas.entities.model import NaturalId
from calstream_schemas.observations import RULE_SET, Fact, Observation, observation_id
from calstream_schemas.rule_sets import RULES

SLICE_ENTITIES = 500
"""How many entities a slice has, roughly: some tens of milliseconds of work."""

_SYSTEM = "calstream"
_FIRST = "contact"
"""The kind that comes first: what contacts are known by may depend on the rules."""


@dataclass(frozen=True, slots=True)
class Refold:
    """How far a refold is.

    Attributes:
        id: the observation that began it.
        first_slices: into how many slices the contacts are cut.
        slices: how many there are in all.
        done: how many are done.
        entities: how many there were when it began.
        changed: how many it has made a new version of.
        restates: whether what rules say of contacts is to be said anew.
        received_at, occurred_at: of the observation; new versions have it as their cause.
    """

    id: str
    first_slices: int
    slices: int
    entities: int
    received_at: int
    occurred_at: int
    restates: bool = False
    done: int = 0
    changed: int = 0

    @classmethod
    def begun(
        cls, observation: Observation, keys: Iterable[str], *, restates: bool = False
    ) -> "Refold":
        """A refold of which nothing is done yet.

        Args:
            observation: which asks for it.
            keys: of all entities of the workspace.
            restates: see the class.
        """
        kinds = [kind_of_key(key) == _FIRST for key in keys]
        first = sum(kinds)
        first_slices = _slices(first)
        # few enough for one slice are not cut at all
        is_small = len(kinds) <= SLICE_ENTITIES
        return cls(
            id=observation.id,
            first_slices=0 if is_small else first_slices,
            slices=1 if is_small else first_slices + _slices(len(kinds) - first),
            entities=len(kinds),
            received_at=observation.received_at,
            occurred_at=observation.occurred_at,
            restates=restates,
        )

    @property
    def cause(self) -> Cause:
        """What makes its versions."""
        return Cause(self.id, self.received_at, self.occurred_at)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.done >= self.slices

    def slice_of(self, key: str) -> int:
        """The slice in which an entity is, whether it was there when the refold began or not."""
        place = zlib.crc32(key.encode())
        if kind_of_key(key) == _FIRST and self.first_slices:
            return place * self.first_slices >> 32
        rest = self.slices - self.first_slices
        return min(self.first_slices + (place * rest >> 32), self.slices - 1)

    def with_slice(self, changed: int) -> "Refold":
        """The same with one more slice done, in which so many entities changed."""
        return replace(self, done=self.done + 1, changed=self.changed + changed)

    def next(self, workspace: str) -> Observation:
        """The observation that does the next slice."""
        natural_id = NaturalId(_SYSTEM, Fact.REFOLD, f"{self.id}/{self.done}")
        return Observation(
            id=observation_id(_SYSTEM, self.id, Fact.REFOLD, natural_id),
            workspace=workspace,
            fact=Fact.REFOLD,
            kind=RULE_SET,
            natural_id=natural_id,
            role=RULES,
            received_at=self.received_at,
            occurred_at=self.occurred_at,
        )

    def is_next(self, observation: Observation) -> bool:
        """Whether an observation does the next slice; else it was done, or belongs to another."""
        return observation.natural_id.object_id == f"{self.id}/{self.done}"

    def encode(self) -> bytes:
        """As JSON, for `resolver.state`."""
        return orjson.dumps(self)

    @classmethod
    def decode(cls, raw: bytes) -> "Refold":
        """The inverse.

        Raises:
            RecordError: it is no refold.
        """
        try:
            return cls(**orjson.loads(raw))
        except (ValueError, TypeError) as error:
            raise RecordError(Code.RECORD_UNREADABLE, f"not a refold: {error!r}") from error


def _slices(entities: int) -> int:
    return -(-entities // SLICE_ENTITIES)
