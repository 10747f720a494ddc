"""The workers of a trial: started, killed, stopped and started again; what they tell is heard.

Used from one thread. `tend` must be called often: it hears what the workers say, starts again
those that are down for long enough, and takes note of those that ended by themselves.
"""

import os
import queue
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from calstream_ops.chaos.layout import PARTITIONS, TRANSACTIONAL_APP
from calstream_ops.chaos.worker_events import ASSIGNED, ENDED, INJECTED, REVOKED, heard
from calstream_ops.stack.child import Child, ChildSpec, Lifeline

_RESTART_SECONDS: Final = 0.5
_MODULE: Final = "calstream_ops.chaos.worker"

Line = tuple["Worker", int, str]


class Worker:
    """One worker, through all its lives.

    Attributes:
        name: its name; the instance id of a static member.
        directory: its state on disk.
        owned: the partitions of each app that it has restored.
        stopped: whether it has got SIGSTOP and not yet SIGCONT.
        leaving: whether it has got SIGTERM for good.
    """

    def __init__(self, name: str, folder: Path, *, is_static: bool) -> None:
        self.name = name
        self.directory = folder / name
        self.owned: set[tuple[str, int]] = set()
        self.stopped = False
        self.leaving = False
        self.child: Child | None = None
        self.life = 0
        self.starts_at: float | None = None
        self.is_static = is_static
        self.reason: dict[str, Any] | None = None
        self.log_path = folder / f"{name}.log"

    @property
    def totals(self) -> set[int]:
        """The partitions of the transactional app that it has restored."""
        return {partition for app, partition in self.owned if app == TRANSACTIONAL_APP}

    def describe(self) -> str:
        """How it is and what it has."""
        condition = "stopped" if self.stopped else "up" if self.child else "down"
        return f"{condition}, {sorted(self.totals)}"


class Fleet:
    """All workers; a context that leaves none behind.

    Args:
        folder: for their state and their logs.
        bootstrap_servers: the broker.
        seed: of the failures that they inject into themselves.

    Attributes:
        workers: those that belong to the trial now.
        kills: SIGKILLs so far.
        injected: failures that workers injected, by kind.
        exits: workers that ended by themselves, by reason.
        findings: what a worker must never do.
    """

    def __init__(self, folder: Path, bootstrap_servers: str, seed: int) -> None:
        self.workers: list[Worker] = []
        self.kills = 0
        self.injected: Counter[str] = Counter()
        self.exits: Counter[str] = Counter()
        self.findings: list[str] = []
        self.directories: list[Path] = []
        self._folder = folder
        self._bootstrap_servers = bootstrap_servers
        self._seed = seed
        self._made = 0
        self._lines: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self._lifeline = Lifeline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kills all. May be called again."""
        for worker in self.workers:
            if worker.child is not None:
                worker.child.kill()
                worker.child.exited.result()
        self._lifeline.close()

    def add(self) -> Worker:
        """Starts one more worker; every other one is a static member."""
        worker = Worker(f"worker-{self._made}", self._folder, is_static=self._made % 2 == 0)
        self._made += 1
        self.directories.append(worker.directory)
        self.workers.append(worker)
        self._start(worker)
        return worker

    def kill(self, worker: Worker, down_seconds: float) -> bool:
        """SIGKILL; it is started again after a while.

        Returns:
            Whether that ended it; else it had ended by itself a moment before.
        """
        assert worker.child is not None
        worker.child.kill()
        if worker.child.exited.result() != -signal.SIGKILL:
            self.tend()
            return False
        self.kills += 1
        self._down(worker, down_seconds)
        return True

    def stop(self, worker: Worker) -> None:
        """SIGSTOP."""
        assert worker.child is not None
        os.kill(worker.child.pid, signal.SIGSTOP)
        worker.stopped = True

    def resume(self, worker: Worker) -> None:
        """SIGCONT."""
        assert worker.child is not None
        os.kill(worker.child.pid, signal.SIGCONT)
        worker.stopped = False

    def leave(self, worker: Worker) -> None:
        """SIGTERM for good; `tend` removes it once it has ended."""
        assert worker.child is not None
        worker.leaving = True
        worker.starts_at = None
        worker.child.terminate()

    def leave_all(self) -> None:
        """SIGTERM for good for all that run; those that are down stay down."""
        for worker in self.running():
            self.leave(worker)
        self.workers[:] = [worker for worker in self.workers if worker.child is not None]

    def wipe(self, worker: Worker, down_seconds: float) -> None:
        """SIGKILL, and its disk is lost."""
        self.kill(worker, down_seconds)
        shutil.rmtree(worker.directory, ignore_errors=True)

    def running(self) -> Sequence[Worker]:
        """Those that run and are to stay, by name."""
        found = [w for w in self.workers if w.child is not None and not w.stopped]
        return sorted((w for w in found if not w.leaving), key=lambda worker: worker.name)

    def owners(self) -> dict[int, list[Worker]]:
        """Who has restored which partition of the transactional app, as far as it was told."""
        found: dict[int, list[Worker]] = {number: [] for number in range(PARTITIONS)}
        for worker in self.running():
            for partition in worker.totals:
                found[partition].append(worker)
        return found

    def tend(self) -> None:
        """Hears, starts again, takes note; returns at once."""
        self._hear()
        for worker in list(self.workers):
            if worker.child is not None and worker.child.exited.done():
                self._hear()  # all that it has said is there by now
                self._ended(worker, worker.child.exited.result())
            elif worker.starts_at is not None and time.monotonic() >= worker.starts_at:
                self._start(worker)

    def _start(self, worker: Worker) -> None:
        worker.starts_at = None
        worker.reason = None
        worker.life += 1
        life = worker.life
        argv = [
            *(sys.executable, "-P", "-m", _MODULE),
            *("--name", worker.name),
            *("--bootstrap-servers", self._bootstrap_servers),
            *("--directory", str(worker.directory)),
            *("--failures", f"{self._seed}/{worker.name}/{life}"),
        ]
        if worker.is_static:
            argv += ["--instance-id", worker.name]
        log = worker.log_path.open("a", encoding="utf-8")
        log.write(f"--- life {life}\n")

        def keep(line: str) -> None:
            self._lines.put((worker, life, line))
            log.write(f"{line}\n")
            log.flush()

        worker.child = Child(ChildSpec(worker.name, tuple(argv)), self._lifeline, keep)
        worker.child.exited.add_done_callback(lambda _: log.close())

    def _down(self, worker: Worker, seconds: float) -> None:
        worker.child = None
        worker.stopped = False
        worker.owned.clear()
        worker.starts_at = time.monotonic() + seconds

    def _ended(self, worker: Worker, status: int) -> None:
        reason = worker.reason or {"reason": f"status {status}", "ours": True}
        # one that has not got as far as to listen for it ends by the signal itself
        expected = worker.leaving and status in {0, -signal.SIGTERM}
        if not expected:
            self.exits[str(reason["reason"])] += 1
            if reason["ours"]:
                self.findings.append(
                    f"{worker.name} ended by itself: {reason['reason']}; see {worker.log_path.name}"
                )
        self._down(worker, _RESTART_SECONDS)
        if worker.leaving:
            self.workers.remove(worker)

    def _hear(self) -> None:
        while True:
            try:
                worker, life, line = self._lines.get_nowait()
            except queue.Empty:
                return
            told = heard(line)
            if told is not None:
                self._take_in(worker, life, *told)

    def _take_in(self, worker: Worker, life: int, event: str, fields: dict[str, Any]) -> None:
        if event == INJECTED:
            self.injected[fields["kind"]] += 1
        if life != worker.life or worker.child is None:
            return  # said before it was killed
        if event == ASSIGNED:
            worker.owned.add((fields["app"], fields["partition"]))
        elif event == REVOKED:
            worker.owned.discard((fields["app"], fields["partition"]))
        elif event == ENDED:
            worker.reason = fields
