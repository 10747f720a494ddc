"""A trial under way: broker, workers and source, and what is done to them at each moment."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from confluent_kafka import Producer

from calstream_core.errors import CalstreamError, Code, UnavailableError
from calstream_ops.chaos.fleet import Fleet, Worker
from calstream_ops.chaos.layout import (
    BROKER_PROPERTIES,
    PARTITIONS,
    PLAIN_APP,
    TOPICS,
    TRANSACTIONAL_APP,
    create_topics,
)
from calstream_ops.chaos.moments import WORKERS, Fault, Moment
from calstream_ops.chaos.source import Source
from calstream_ops.chaos.topic_log import Progress, read_partition
from calstream_ops.stack import EmbeddedBroker

_LOOK_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 90.0
_DRAIN_SECONDS: Final = 120.0
_FENCE_SECONDS: Final = 30.0
_KILLED_WITH_THE_BROKER: Final = 0.5


class Trial:
    """Runs the stream and harms it; a context that leaves no process behind.

    Args:
        folder: for everything that the trial writes.
        seed: of the stream and of the injected failures.

    Attributes:
        counts: what was done, by name.
        findings: what could be seen to be wrong on the way.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.findings: list[str] = []
        self._folder = folder
        self._seed = seed
        self._broker = EmbeddedBroker(folder / "broker", properties=BROKER_PROPERTIES)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._broker.kill)
            self.address = self._broker.start()
            create_topics(self.address)
            self.fleet = stack.enter_context(Fleet(self._folder, self.address, self._seed))
            self._totals = Progress(self.address, TRANSACTIONAL_APP)
            stack.callback(self._totals.close)
            self._forwards = Progress(self.address, PLAIN_APP)
            stack.callback(self._forwards.close)
            self.source = stack.enter_context(Source(self.address, self._seed))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, moments: Sequence[Moment]) -> None:
        """Lets the records flow and does what each moment says; returns when all flowed through.

        Raises:
            UnavailableError: the broker does not start again, or the source could not be written.
        """
        for _ in range(WORKERS):
            self.fleet.add()
        for number, moment in enumerate(moments, 1):
            if moment.calm:
                self._until(
                    lambda: all(self.fleet.owners().values()),
                    "not every partition has been restored",
                )
            self.source.allow(moment.ends_at, moment.records_per_second)
            self._until(
                lambda at=moment.fires_at: len(self.source.written) >= at,  # type: ignore[misc]  # a default binds it
                "the source does not flow",
            )
            self._say(f"{number} of {len(moments)}: {moment.fault}, {self._place(moment)}")
            self._do(moment)
        last = moments[-1]
        self._until(
            lambda: len(self.source.written) >= last.ends_at, "the source does not flow to its end"
        )
        self._say("waiting until everything has flowed through")
        self.source.finish()
        self._drain()
        self._leave()

    def abandon(self) -> None:
        """Ends source and workers as they are, so that what is there can be compared."""
        self.fleet.close()
        self.source.finish()

    def _place(self, moment: Moment) -> str:
        lag = self._lag()
        return f"record {moment.fires_at}" + ("" if lag is None else f", {lag} not done")

    def _do(self, moment: Moment) -> None:
        match moment.fault:
            case Fault.KILL:
                self.fleet.kill(self._picked(moment), moment.pause_seconds)
            case Fault.STOP:
                self._stop(moment)
            case Fault.TAKE_OVER:
                self._take_over(moment)
            case Fault.COMPACT:
                self._take_over(moment)
                self._compact()
                self._restore_anew(moment)
            case Fault.RESTART_BROKER:
                self._restart_broker(moment)
            case Fault.JOIN:
                self.fleet.add()
                self.counts["membership_changes"] += 1
            case Fault.LEAVE:
                self._lose(moment)
            case Fault.FENCE:
                self._fence(int(moment.pick * PARTITIONS))

    def _picked(self, moment: Moment) -> Worker:
        self._until(lambda: bool(self.fleet.running()), "no worker runs")
        running = self.fleet.running()
        return running[int(moment.pick * len(running))]

    def _owner(self, moment: Moment) -> Worker:
        """One that has partitions to lose."""
        self._until(lambda: any(w.totals for w in self.fleet.running()), "nobody has a partition")
        owners = [worker for worker in self.fleet.running() if worker.totals]
        return owners[int(moment.pick * len(owners))]

    def _stop(self, moment: Moment) -> None:
        worker = self._owner(moment)
        self.fleet.stop(worker)
        self.counts["stops"] += 1
        until = time.monotonic() + moment.pause_seconds
        self._until(lambda: time.monotonic() >= until, "time does not go by")
        self.fleet.resume(worker)

    def _take_over(self, moment: Moment) -> None:
        worker = self._owner(moment)
        lost = worker.totals
        self.fleet.stop(worker)
        self.counts["stops"] += 1
        before = self._committed()
        self._until(
            lambda: all(self.fleet.owners()[partition] for partition in lost),
            f"nobody takes over what {worker.name} had",
        )

        def somebody_committed() -> bool:
            now = self._totals.committed()
            return now is not None and any(now[number] > before[number] for number in lost)

        self._until(somebody_committed, f"nobody goes on with what {worker.name} had")
        self.fleet.resume(worker)
        self.counts["takeovers"] += 1

    def _compact(self) -> None:
        """Waits until every partition of the state's log has lost records to compaction."""
        waiting = {number: self._offsets(number) for number in range(PARTITIONS)}

        def compacted() -> bool:
            for partition, seen in list(waiting.items()):
                now = self._offsets(partition)
                if seen - now:
                    del waiting[partition]
                else:
                    waiting[partition] = now  # where there was nothing yet, there is by now
            return not waiting

        self._until(compacted, "the state's log is not compacted")
        self.counts["compactions"] += PARTITIONS

    def _restore_anew(self, moment: Moment) -> None:
        worker = self._owner(moment)
        self.fleet.wipe(worker, moment.pause_seconds)
        self._until(lambda: bool(worker.totals), f"{worker.name} gets nothing to restore")
        self.counts["restores_on_empty_disk"] += 1

    def _restart_broker(self, moment: Moment) -> None:
        self._broker.kill()
        if moment.pick < _KILLED_WITH_THE_BROKER:
            self.fleet.kill(self._picked(moment), moment.pause_seconds / 2)
        until = time.monotonic() + moment.pause_seconds
        self._until(lambda: time.monotonic() >= until, "time does not go by")
        self._broker.start()
        self.counts["broker_restarts"] += 1

    def _lose(self, moment: Moment) -> None:
        worker = self._picked(moment)
        self.fleet.leave(worker)
        self._until(lambda: worker not in self.fleet.workers, f"{worker.name} does not leave")
        self.counts["membership_changes"] += 1

    def _fence(self, partition: int) -> None:
        """Opens the partition's transactions as another owner would."""
        stranger = Producer(
            {
                "bootstrap.servers": self.address,
                "transactional.id": f"{TRANSACTIONAL_APP}-{partition}",
                "log_level": 0,
            }
        )
        try:
            stranger.init_transactions(_FENCE_SECONDS)
        finally:
            stranger.close()
        self.counts["fences"] += 1

    # waiting

    def _until(
        self, is_so: Callable[[], bool], otherwise: str, seconds: float = _PATIENCE_SECONDS
    ) -> None:
        """Polls, because other processes only tell on asking; tends the workers meanwhile.

        Raises:
            UnavailableError: it is not so in time.
        """
        give_up_at = time.monotonic() + seconds
        while True:
            self.fleet.tend()
            if is_so():
                return
            if time.monotonic() > give_up_at:
                raise UnavailableError(
                    Code.PROCESS_FAILED, f"After {seconds:.0f} s: {otherwise}. {self._describe()}"
                )
            time.sleep(_LOOK_SECONDS)

    def _drain(self) -> None:
        """Waits until both groups are at the end of the source; a stall is a finding."""
        ends = self._ends()
        for name, progress in ((TRANSACTIONAL_APP, self._totals), (PLAIN_APP, self._forwards)):
            try:
                self._until(
                    lambda p=progress: list(p.committed() or ()) == ends,  # type: ignore[misc]  # a default binds it
                    f"{name} does not come to the end",
                    _DRAIN_SECONDS,
                )
            except CalstreamError as error:
                self.findings.append(
                    f"{error.message}; committed {progress.committed()}, ends {ends}"
                )

    def _leave(self) -> None:
        for worker in self.fleet.running():
            self.fleet.leave(worker)
        self.fleet.workers[:] = [w for w in self.fleet.workers if w.child is not None]
        self._until(lambda: not self.fleet.workers, "not every worker ends")

    def _ends(self) -> list[int]:
        return [
            (records[-1].offset() or 0) + 1 if records else -1
            for records in (
                read_partition(self.address, TOPICS.source, number) for number in range(PARTITIONS)
            )
        ]

    def _offsets(self, partition: int) -> set[int]:
        records = read_partition(self.address, TOPICS.totals, partition, committed=False)
        return {record.offset() or 0 for record in records}

    def _committed(self) -> Sequence[int]:
        found: list[int] = []

        def answered() -> bool:
            found[:] = self._totals.committed() or ()
            return bool(found)

        self._until(answered, "the group does not answer")
        return found

    def _lag(self) -> int | None:
        committed = self._totals.committed()
        if committed is None:
            return None
        return len(self.source.written) - sum(max(0, offset) for offset in committed)

    def _describe(self) -> str:
        return "; ".join(f"{worker.name}: {worker.describe()}" for worker in self.fleet.workers)

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
