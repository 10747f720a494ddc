"""Keeping processes on one core, where the system can do that."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core is whose.

    Attributes:
        worker: that of the worker that is measured.
        others: that of the broker and of the bench itself.
    """

    worker: int
    others: int

    @classmethod
    def found(cls) -> "Cores | None":
        """Two that this process may use; None where there are none, or none can be chosen."""
        if sys.platform != "linux":
            return None
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[1]) if len(usable) > 1 else None


@contextmanager
def pinned_to(core: int | None) -> Iterator[None]:
    """Keeps this thread on a core, and what it starts in the block; None leaves it alone."""
    if core is None or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
