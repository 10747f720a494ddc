"""One processors process for an installation: a lock in the state directory.

Two would write the truth against each other: each takes the other's place in the consumer groups,
again and again, and goes on for a moment with what it has fetched.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calstream_core.errors import Code, UnavailableError

_FILE_NAME = "processors.lock"


@contextmanager
def sole_processors(state_directory: Path) -> Iterator[None]:
    """Holds the lock for the time of the block; the kernel drops it however the process ends.

    Raises:
        UnavailableError: another process holds it.
    """
    state_directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(state_directory / _FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise UnavailableError(
            Code.STACK_RUNNING,
            f"Other processors run already with their state in {state_directory}.",
            hint="An installation has one processors process; stop the other first.",
        ) from error
    try:
        yield
    finally:
        os.close(lock)
