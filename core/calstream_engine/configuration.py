"""How an app runs on the engine."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from calstream_engine.failures import DeadLetterLimit
from calstream_engine.membership import GroupSettings


class Mode(StrEnum):
    """What a stage promises.

    Attributes:
        PLAIN: every effect is durable before a record counts as done. A crash may do the last
            records again, with the same ids: for stages without state of their own.
        TRANSACTIONAL: state, outputs and position change together or not at all: for every owner
            of state.
    """

    PLAIN = "plain"
    TRANSACTIONAL = "transactional"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an app runs. The defaults are safe; tests shorten the times.

    Attributes:
        app: the app's id: its consumer group, and the first part of its transactional ids.
        bootstrap_servers: HOST:PORT, several separated by commas.
        mode: what its stages promise.
        dead_topic: where records go that can't be handled; without one they stop the worker.
        state_directory: where tables are kept, no other worker's; None keeps them in memory.
        position_table: the name of the table that keeps the positions in the source; needed for
            batches in transactional mode.
        instance_id: makes the worker a static member of its group.
        session_timeout_seconds: after which the group takes a silent worker's partitions away.
        release_seconds: the budget to finish or abandon what is in flight at a revoke or stop.
        commit_interval_seconds: how often the group hears how far the worker is.
        stall_seconds: with lag and without movement for so long, the worker ends.
        keep_state_seconds: state on disk that was left longer ago is not trusted. Less than the
            changelogs' `delete.retention.ms`.
        max_batch_records: the most records that one batch holds.
        max_records_in_flight: the most records handed out and not done. One of more than 4 KiB
            counts as several, so that memory is bounded too.
        limit: on dead letters.
        client: further librdkafka settings, such as TLS and SASL.
    """

    app: str
    bootstrap_servers: str
    mode: Mode = Mode.PLAIN
    dead_topic: str | None = None
    state_directory: Path | None = None
    position_table: str | None = None
    instance_id: str | None = None
    session_timeout_seconds: float = 10.0
    release_seconds: float = 10.0
    commit_interval_seconds: float = 1.0
    stall_seconds: float = 300.0
    keep_state_seconds: float = 24 * 60 * 60
    max_batch_records: int = 2000
    max_records_in_flight: int = 20_000
    limit: DeadLetterLimit = field(default_factory=DeadLetterLimit)
    client: dict[str, Any] = field(default_factory=dict)

    def group(self) -> GroupSettings:
        """The part that the membership needs."""
        return GroupSettings(
            bootstrap_servers=self.bootstrap_servers,
            group=self.app,
            instance_id=self.instance_id,
            session_timeout_seconds=self.session_timeout_seconds,
            max_batch_records=self.max_batch_records,
            max_records_in_flight=self.max_records_in_flight,
            client=self.client,
        )
