"""Which process a pid meant: a pid alone may belong to another process by now.

A process is told by its pid and the moment of its birth, as the system itself states it.
"""

import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class ProcessIdentity(BaseModel):
    """One process of this machine, for as long as the machine runs.

    Attributes:
        pid: its number.
        birth: when it was born, in the system's own words; only good for comparing.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    birth: str

    def is_alive(self) -> bool:
        """Whether this very process still runs; a dead one that nobody has reaped yet does not."""
        return identify(self.pid) == self


def identify(pid: int) -> ProcessIdentity | None:
    """The process that has this pid now, or None if there is none that runs."""
    birth = _birth_from_proc(pid) if sys.platform == "linux" else _birth_from_ps(pid)
    return ProcessIdentity(pid=pid, birth=birth) if birth else None


def _birth_from_proc(pid: int) -> str:
    try:
        # the second field is the command's name, which may hold spaces and brackets
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, start_ticks = fields[0], fields[19]
    return "" if state in {"Z", "X"} else start_ticks


def _birth_from_ps(pid: int) -> str:
    answer = subprocess.run(  # noqa: S603 - fixed words and a number
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "TZ": "UTC"},
    )
    state, _, start = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else start.strip()
