"""One stage of the pipeline: takes records in order and acknowledges what it has settled.

No exception leaves the loop: Faust would acknowledge the record that raised it and go on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import faust
import structlog

from calstream_core.errors import (
    CalstreamError,
    Code,
    InvariantError,
    RecordError,
    UnavailableError,
)
from calstream_core.kafka import AsyncProducer, Headers
from calstream_core.metrics import DEAD_LETTERS, STAGE_EVENTS, STAGE_SECONDS
from calstream_processors.host.continuity import Continuity

_RETRY_SECONDS = 1.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the stage's topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


Handle = Callable[[Record], Awaitable[str]]
"""Settles a record, all its writes confirmed, and says what became of it (a metric's label)."""


class Stage:
    """Runs a handler over a topic, with dead letters for what it can't handle.

    Args:
        name: in metrics, logs and dead letters.
        handle: settles one record. RecordError sends the record to the dead letters;
            UnavailableError makes it be tried again; InvariantError stops the process.
        producer: for the dead letters.
        dead_topic: where they go.
    """

    def __init__(self, name: str, handle: Handle, producer: AsyncProducer, dead_topic: str) -> None:
        self._name = name
        self._handle = handle
        self._producer = producer
        self._dead_topic = dead_topic

    async def consume(self, app: faust.App, stream: Any) -> None:
        """The body of the stage's agent."""
        continuity = Continuity()

        async def assigned(*_app_and_partitions: Any, **_signal: Any) -> None:
            continuity.forget()

        app.on_partitions_assigned.connect(assigned, weak=False)
        acknowledged_by_hand = stream.noack()
        async for event in acknowledged_by_hand.events():
            try:
                continuity.check(event.message.partition, event.message.offset)
                await self._settle(_record(event.message))
            except Exception as error:  # noqa: BLE001 - Faust would go on behind it
                _log.critical("stopped", stage=self._name, error=str(error))
                await app.crash(error)
                return
            await acknowledged_by_hand.ack(event)

    async def _settle(self, record: Record) -> None:
        started = time.perf_counter()
        outcome = await self._persist(lambda: self._attempt(record), record)
        STAGE_EVENTS.labels(self._name, outcome).inc()
        STAGE_SECONDS.labels(self._name).observe(time.perf_counter() - started)

    async def _attempt(self, record: Record) -> str:
        try:
            return await self._handle(record)
        except RecordError as error:
            await self.bury(record, error)
        except (UnavailableError, InvariantError):
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours, but this record's alone:
            # it is kept with its bytes, and the others go on
            _log.exception("record failed", stage=self._name, **_place(record))
            await self.bury(record, RecordError(Code.RECORD_FAILED, type(error).__name__))
        return "dead"

    async def _persist(self, attempt: Callable[[], Awaitable[str]], record: Record) -> str:
        """Tries until the broker answers: a record is never skipped because of an outage."""
        while True:
            try:
                return await attempt()
            except UnavailableError as error:
                _log.warning("waiting", stage=self._name, error=str(error), **_place(record))
                await asyncio.sleep(_RETRY_SECONDS)

    async def bury(self, record: Record, error: CalstreamError, field: str = "") -> None:
        """Writes a record to the dead letters as it came, with its place and the reason.

        Returns when the broker has it.

        Raises:
            UnavailableError: the broker did not confirm.
        """
        place = field or (error.field if isinstance(error, RecordError) else "")
        await self._producer.send(
            self._dead_topic,
            record.key,
            record.value,
            partition=record.partition,
            headers=[
                *record.headers,
                ("error_code", error.code.encode()),
                ("error_message", error.message.encode()),
                ("error_field", place.encode()),
                ("error_stage", self._name.encode()),
                ("origin_topic", record.topic.encode()),
                ("origin_partition", str(record.partition).encode()),
                ("origin_offset", str(record.offset).encode()),
            ],
        )
        DEAD_LETTERS.labels(self._name, error.code).inc()
        _log.warning(
            "dead letter", stage=self._name, code=error.code, field=place, **_place(record)
        )


def _record(message: Any) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        list(message.headers or ()),
    )


def _place(record: Record) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
