"""A trial under way: the broker, the workers and the source, and what can be asked of them."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from calstream_core.errors import Code, UnavailableError
from calstream_ops.chaos.fleet import Fleet
from calstream_ops.chaos.layout import (
    BROKER_PROPERTIES,
    PARTITIONS,
    PLAIN_APP,
    TOPICS,
    TRANSACTIONAL_APP,
    create_topics,
)
from calstream_ops.chaos.source import Source
from calstream_ops.chaos.topic_log import Progress, read_partition
from calstream_ops.stack import EmbeddedBroker

_LOOK_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 120.0


class Trial:
    """What a trial consists of; a context that leaves no process behind.

    Args:
        folder: for everything that the trial writes.
        seed: of the stream and of the injected failures.

    Attributes:
        broker: the trial's own.
        address: where it is.
        fleet: the workers.
        source: who writes the stream.
        totals: how far the transactional app is.
        forwards: how far the plain app is.
        counts: what was done, by name.
        findings: what could be seen to be wrong on the way.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.broker = EmbeddedBroker(folder / "broker", properties=BROKER_PROPERTIES)
        self.address = ""
        self.counts: Counter[str] = Counter()
        self.findings: list[str] = []
        self._folder = folder
        self._seed = seed
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.broker.kill)
            self.address = self.broker.start()
            create_topics(self.address)
            self.fleet = stack.enter_context(Fleet(self._folder, self.address, self._seed))
            self.totals = Progress(self.address, TRANSACTIONAL_APP)
            stack.callback(self.totals.close)
            self.forwards = Progress(self.address, PLAIN_APP)
            stack.callback(self.forwards.close)
            self.source = stack.enter_context(Source(self.address, self._seed))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def abandon(self) -> None:
        """Ends source and workers as they are, so that what is there can be compared."""
        self.fleet.close()
        self.source.finish()

    def until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        """Waits; tends the workers meanwhile. Polls, because other processes only tell on asking.

        Args:
            is_so: what is waited for.
            otherwise: what is wrong if it does not come.

        Raises:
            UnavailableError: it does not come in two minutes.
        """
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while True:
            self.fleet.tend()
            if is_so():
                return
            if time.monotonic() > give_up_at:
                workers = "; ".join(f"{one.name}: {one.describe()}" for one in self.fleet.workers)
                raise UnavailableError(
                    Code.PROCESS_FAILED,
                    f"After {_PATIENCE_SECONDS:.0f} s: {otherwise}. Workers: {workers}.",
                )
            time.sleep(_LOOK_SECONDS)

    def pause(self, seconds: float) -> None:
        """Lets time go by, as long as something is to be down."""
        over_at = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= over_at, "time does not go by")

    def state_offsets(self, partition: int) -> set[int]:
        """The offsets that a partition of the state's log still has."""
        records = read_partition(self.address, TOPICS.totals, partition, committed=False)
        return {record.offset() or 0 for record in records}

    def ends(self) -> Sequence[int]:
        """The end of each partition of the source; -1 where it is empty."""
        partitions = (read_partition(self.address, TOPICS.source, n) for n in range(PARTITIONS))
        return [(records[-1].offset() or 0) + 1 if records else -1 for records in partitions]

    def committed(self) -> Sequence[int]:
        """How far the transactional app is; waits until its group answers."""
        found: list[int] = []

        def answered() -> bool:
            found[:] = self.totals.committed() or ()
            return bool(found)

        self.until(answered, "the group does not answer")
        return found

    def not_done(self) -> int | None:
        """How many records the transactional app has before it; None if its group is silent."""
        committed = self.totals.committed()
        if committed is None:
            return None
        return len(self.source.written) - sum(max(0, offset) for offset in committed)

    @staticmethod
    def say(text: str) -> None:
        """Tells a person how far it is."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
