"""What one app has of the engine: its settings, its state and its stages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from calstream_engine.claim import Claim
from calstream_engine.configuration import EngineSettings
from calstream_engine.ownership import Ownership
from calstream_engine.records import Batch


class BatchConsumer(Protocol):
    """Takes the batches of one topic: a stage."""

    def restored(self, claim: Claim) -> None:
        """The claim's partition is ready; its batches may come."""

    def put(self, claim: Claim, batch: Batch, done: Callable[[], object]) -> None:
        """Takes a batch."""

    async def release(self, claim: Claim) -> None:
        """Brings what has begun to an end and abandons the rest."""


Hook = Callable[[int], Awaitable[None]]
"""Told of a partition."""


@dataclass(slots=True)
class Engine:
    """One app's part of the engine; the transport holds it.

    Attributes:
        settings: how the app runs.
        ownership: the partitions whose state this worker holds.
        stages: the batch agents, by topic.
        views: topics whose view says where reading goes on, instead of the group's commit.
        assigned: called when a partition is restored, before its first record.
        revoked: called when a partition is about to go.
    """

    settings: EngineSettings
    ownership: Ownership
    stages: dict[str, BatchConsumer] = field(default_factory=dict)
    assigned: list[Hook] = field(default_factory=list)
    revoked: list[Hook] = field(default_factory=list)
