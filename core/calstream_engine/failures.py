"""What becomes of a record that can't be handled: a dead letter, and a limit on them.

A dead letter is the record as it came, its key, value and headers, with its place and the reason in
further headers. It is confirmed before the record counts as done. The limit stops the worker when
too much goes wrong at once: then the fault is ours, and going on would drain the topic.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from calstream_core.errors import CalstreamError, Code, InvariantError, RecordError
from calstream_core.kafka.limits import MAX_DEAD_LETTER_BYTES
from calstream_engine.records import Headers, Record
from calstream_engine.work import Outgoing, size_of

_MESSAGE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class DeadLetterLimit:
    """How many dead letters are still a matter of the records.

    Attributes:
        consecutive: so many records of a partition in a row, none of which could be handled.
        per_minute: so many in a minute, over all partitions of the stage.
    """

    consecutive: int = 100
    per_minute: int = 1000


class WorkerStopError(InvariantError):
    """Going on would do harm in every partition, so the worker ends."""


def dead_letter(topic: str, stage: str, record: Record, error: CalstreamError) -> Outgoing:
    """The record as it came, for the dead letters; cut only if no topic would take it."""
    reason = _reason(stage, record, error)
    key, value = record.key(), record.value()
    headers: Headers = [*(record.headers() or ())]
    size = len(key or b"") + len(value or b"") + size_of(headers)
    room = MAX_DEAD_LETTER_BYTES - size_of(reason)
    if size > room:
        reason.append(("error_cut_from_bytes", b"%d" % size))
        room -= size_of(reason[-1:])
        headers = headers if size_of(headers) <= room else []
        room -= size_of(headers)
        key = key and key[:room]
        room -= len(key or b"")
        value = value and value[:room]
    return Outgoing(topic, key, value, record.partition() or 0, headers + reason)


def _reason(stage: str, record: Record, error: CalstreamError) -> Headers:
    _kind, timestamp_milliseconds = record.timestamp()
    field = error.field if isinstance(error, RecordError) else ""
    told = {
        "error_code": error.code,
        "error_message": error.message,
        "error_field": field,
        "error_stage": stage,
        "origin_topic": record.topic() or "",
        "origin_partition": str(record.partition()),
        "origin_offset": str(record.offset()),
        "origin_timestamp": str(timestamp_milliseconds),
    }
    return [
        (name, text[:_MESSAGE_CHARACTERS].encode(errors="backslashreplace"))
        for name, text in told.items()
    ]


class DeadLetterGuard:
    """Counts dead letters against the limit. One for a stage; forgets with the process."""

    def __init__(self, limit: DeadLetterLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._in_a_row: dict[int, int] = {}
        self._lately: deque[tuple[float, int]] = deque()
        self._lately_count = 0

    def check(self, partition: int, *, handled: int, rejected: int) -> None:
        """Counts a batch that is about to be committed.

        Args:
            partition: the batch's.
            handled: records that could be handled.
            rejected: records that could not.

        Raises:
            WorkerStopError: that would be too many. The batch must not be committed.
        """
        if not rejected:
            self._in_a_row.pop(partition, None)
            return
        in_a_row = rejected + (0 if handled else self._in_a_row.get(partition, 0))
        if not handled:
            self._in_a_row[partition] = in_a_row
            if in_a_row > self._limit.consecutive:
                self._stop(f"{in_a_row} records in a row could not be handled")
        else:
            self._in_a_row.pop(partition, None)
        now = self._clock()
        self._lately.append((now, rejected))
        self._lately_count += rejected
        while self._lately and self._lately[0][0] < now - 60:
            self._lately_count -= self._lately.popleft()[1]
        if self._lately_count > self._limit.per_minute:
            self._stop(f"{self._lately_count} records of a minute could not be handled")

    def _stop(self, what: str) -> None:
        raise WorkerStopError(
            Code.DEAD_LETTER_LIMIT,
            f"Stopped: {what}.",
            hint="Look at the newest dead letters; the fault is probably not in the records.",
        )
