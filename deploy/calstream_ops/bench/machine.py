"""What a bench ran on: the machine without its name, and the commit."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

_GIGABYTE = 1_000_000_000


def describe_machine() -> dict[str, Any]:
    """The machine: system, processor, memory, Python."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "cpus": _cpus(),
        "memory_gb": round(memory_bytes / _GIGABYTE),
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """The commit that is checked out, with `+` behind it if files have changed since."""
    here = Path(__file__).parent
    head = _ask("git", "-C", str(here), "rev-parse", "--short=12", "HEAD")
    if not head:
        return None
    changed = _ask("git", "-C", str(here), "status", "--porcelain", "--untracked-files=no")
    return f"{head}+" if changed else head


def _cpus() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    if sys.platform == "darwin":
        return _ask("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _ask(*command: str) -> str:
    """What a command prints; nothing where it is not there or fails."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command lines
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
