"""What is done to a trial at a moment: each fault, and what must come of it before it is over."""

from typing import Final

from confluent_kafka import Producer

from calstream_ops.chaos.fleet import Worker
from calstream_ops.chaos.layout import PARTITIONS, TRANSACTIONAL_APP
from calstream_ops.chaos.moments import Fault, Moment
from calstream_ops.chaos.trial import Trial

_FENCE_SECONDS: Final = 30.0
_KILLED_WITH_THE_BROKER: Final = 0.5


class Faults:
    """Does to a trial what a moment says, and counts it."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._fleet = trial.fleet

    def do(self, moment: Moment) -> None:
        """Does it; returns when it is over.

        Raises:
            UnavailableError: what must come of it does not come.
        """
        match moment.fault:
            case Fault.KILL:
                self._kill(moment, moment.pause_seconds)
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
                self._fleet.add()
                self._trial.counts["membership_changes"] += 1
            case Fault.LEAVE:
                self._leave(moment)
            case Fault.FENCE:
                self._fence(int(moment.pick * PARTITIONS))

    def _any(self, moment: Moment) -> Worker:
        self._trial.until(lambda: bool(self._fleet.running()), "no worker runs")
        running = self._fleet.running()
        return running[int(moment.pick * len(running))]

    def _owner(self, moment: Moment) -> Worker:
        """One that has partitions to lose."""
        self._trial.until(
            lambda: any(worker.totals for worker in self._fleet.running()),
            "nobody has a partition",
        )
        owners = [worker for worker in self._fleet.running() if worker.totals]
        return owners[int(moment.pick * len(owners))]

    def _kill(self, moment: Moment, down_seconds: float) -> None:
        while not self._fleet.kill(self._any(moment), down_seconds):
            pass  # it ended by itself a moment ago; another one then

    def _stop(self, moment: Moment) -> None:
        worker = self._owner(moment)
        self._fleet.stop(worker)
        self._trial.counts["stops"] += 1
        self._trial.pause(moment.pause_seconds)
        self._fleet.resume(worker)

    def _take_over(self, moment: Moment) -> None:
        worker = self._owner(moment)
        lost = worker.totals
        self._fleet.stop(worker)
        self._trial.counts["stops"] += 1
        before = self._trial.committed()
        self._trial.until(
            lambda: all(self._fleet.owners()[partition] for partition in lost),
            f"nobody takes over what {worker.name} had",
        )

        def somebody_committed() -> bool:
            now = self._trial.totals.committed()
            return now is not None and any(now[number] > before[number] for number in lost)

        self._trial.until(somebody_committed, f"nobody goes on with what {worker.name} had")
        self._fleet.resume(worker)
        self._trial.counts["takeovers"] += 1

    def _compact(self) -> None:
        """Waits until every partition of the state's log has lost records to compaction."""
        waiting = {number: self._trial.state_offsets(number) for number in range(PARTITIONS)}

        def compacted() -> bool:
            for partition, seen in list(waiting.items()):
                now = self._trial.state_offsets(partition)
                if seen - now:
                    del waiting[partition]
                else:
                    waiting[partition] = now  # where there was nothing yet, there is by now
            return not waiting

        self._trial.until(compacted, "the state's log is not compacted")
        self._trial.counts["compactions"] += PARTITIONS

    def _restore_anew(self, moment: Moment) -> None:
        worker = self._owner(moment)
        self._fleet.wipe(worker, moment.pause_seconds)
        self._trial.until(lambda: bool(worker.totals), f"{worker.name} gets nothing to restore")
        self._trial.counts["restores_on_empty_disk"] += 1

    def _restart_broker(self, moment: Moment) -> None:
        self._trial.broker.kill()
        if moment.pick < _KILLED_WITH_THE_BROKER:
            self._kill(moment, moment.pause_seconds / 2)
        self._trial.pause(moment.pause_seconds)
        self._trial.broker.start()
        self._trial.counts["broker_restarts"] += 1

    def _leave(self, moment: Moment) -> None:
        worker = self._any(moment)
        self._fleet.leave(worker)
        self._trial.until(
            lambda: worker not in self._fleet.workers, f"{worker.name} does not leave"
        )
        self._trial.counts["membership_changes"] += 1

    def _fence(self, partition: int) -> None:
        """Opens the partition's transactions as another owner would."""
        stranger = Producer(
            {
                "bootstrap.servers": self._trial.address,
                "transactional.id": f"{TRANSACTIONAL_APP}-{partition}",
                "log_level": 0,
            }
        )
        try:
            stranger.init_transactions(_FENCE_SECONDS)
        finally:
            stranger.close()
        self._trial.counts["fences"] += 1
