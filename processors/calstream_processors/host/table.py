"""A Faust table that changes only once the broker has confirmed the change.

Stock Faust changes the table first, writes the changelog in the background and only logs when that
fails: the source's offset is committed all the same, and the change is lost. Here `write` sends to
the changelog through our producer, waits, and changes the table last. If it fails, the table is as
before, so doing the same again makes the same records again.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import faust

from calstream_core.errors import Code, InvariantError
from calstream_core.kafka import AsyncProducer, Headers


class Write(NamedTuple):
    """One change of a key. Without a value it is a deletion."""

    key: str
    value: bytes | None
    headers: Headers


class ConfirmedTable(faust.Table[bytes, bytes]):
    """A table of raw bytes. `attach` it to a producer before the first write."""

    _producer: AsyncProducer | None = None
    _topic: str = ""
    _confirmed: bool = False

    def attach(self, producer: AsyncProducer, topic: str) -> None:
        """Names the producer and the changelog topic that changes go to."""
        self._producer = producer
        self._topic = topic

    async def write(self, writes: Sequence[Write], partition: int) -> None:
        """Makes changes, in order; returns when they are in the log and in the table.

        Call it while handling a record of the same partition.

        Raises:
            UnavailableError: not all were confirmed in time; the table is unchanged.
        """
        if self._producer is None:
            raise InvariantError(Code.INVARIANT_BROKEN, f"{self.name} has no producer.")
        sent = [
            self._producer.send(self._topic, w.key, w.value, partition=partition, headers=w.headers)
            for w in writes
        ]
        for future in sent:
            await future
        self._confirmed = True
        try:
            for change in writes:
                if change.value is not None:
                    self[change.key.encode()] = change.value
                else:
                    self.pop(change.key.encode(), None)
        finally:
            self._confirmed = False

    def send_changelog(  # type: ignore[override]  # returns only what Faust reads of a future
        self,
        partition: int | None,
        key: Any,  # noqa: ARG002 - the base's signature
        value: Any,  # noqa: ARG002 - the base's signature
        key_serializer: Any = None,  # noqa: ARG002 - the base's signature
        value_serializer: Any = None,  # noqa: ARG002 - the base's signature
    ) -> SimpleNamespace:
        """Faust's hook at every change: here the change is in the log already.

        Raises:
            InvariantError: the table was changed directly, so it is not.
        """
        if not self._confirmed:
            raise InvariantError(Code.INVARIANT_BROKEN, f"{self.name} was changed without `write`.")
        return SimpleNamespace(message=SimpleNamespace(partition=partition))
