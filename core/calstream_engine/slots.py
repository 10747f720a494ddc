"""Slots: which of the workers on this machine a process is.

A slot is a number, a directory of its own for state on disk, and the worker's name in its consumer
groups. A worker that is killed and started again takes the same slot, so the group gives it its
partitions back at once and its state is on its disk. A lock of the kernel guards a slot, and goes
with the process however it ends.
"""

import fcntl
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calstream_core.errors import Code, UnavailableError

_MOST = 64


@dataclass(frozen=True, slots=True)
class Slot:
    """A worker's place on its machine.

    Attributes:
        number: from 0 on.
        directory: where its state is.
        instance_id: its name in consumer groups: the machine's and the number.
    """

    number: int
    directory: Path
    instance_id: str


@contextmanager
def worker_slot(directory: Path) -> Iterator[Slot]:
    """Holds the first free slot for the time of the block.

    Args:
        directory: the workers' own; each slot is a folder in it.

    Raises:
        UnavailableError: every slot is taken.
    """
    for number in range(_MOST):
        home = directory / f"worker-{number}"
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        try:
            machine = re.sub(r"[^a-zA-Z0-9._-]", "-", platform.node()) or "worker"
            yield Slot(number, home, f"{machine}-{number}")
        finally:
            os.close(lock)
        return
    raise UnavailableError(
        Code.STACK_RUNNING,
        f"{_MOST} workers run already with their state in {directory}.",
        hint="Stop one of them, or give this one a state directory of its own.",
    )
