"""The peers' Python environment: exactly the packages of `deploy/locks/peers.txt`."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from calstream_core.errors import Code, UnavailableError
from calstream_ops.stack.jars import Say

LOCK_PATH = Path(__file__).parents[3] / "locks" / "peers.txt"
"""Hash-locked; `make locks` writes it. It is in the repository only, not in the package."""

_MARK = "made.txt"
_TAIL_LINES = 10


def cache_directory() -> Path:
    """Where the peers are kept between runs; made if it is not there."""
    path = platformdirs.user_cache_path("calstream", appauthor=False) / "bench"
    path.mkdir(parents=True, exist_ok=True)
    return path


def install_peers(cache: Path, say: Say, lock: Path = LOCK_PATH) -> Path:
    """Makes the environment, if it is not there as the lock says; blocks for that time.

    Args:
        cache: a directory that stays.
        say: is told how far it is.
        lock: the packages.

    Returns:
        The environment's Python.

    Raises:
        UnavailableError: there is no lock file, or it can't be installed.
    """
    if not lock.is_file():
        raise UnavailableError(
            Code.PROCESS_FAILED,
            "The peers' lock file is only in a checkout of the repository.",
            hint="Run the bench from there, or with --without-peers.",
        )
    wanted = hashlib.sha256(f"{sys.version}\n".encode() + lock.read_bytes()).hexdigest()
    home = cache / "peers"
    python = home / "bin" / "python"
    with _alone(cache):
        if not _is_made(home, wanted):
            say("installing the peers into an environment of their own")
            shutil.rmtree(home, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(home)])
            pip = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
            _run([*pip, "--no-input", "--quiet", "--require-hashes", "--no-deps", "-r", str(lock)])
            (home / _MARK).write_text(wanted, "utf-8")
    return python


def locked_versions(lock: Path = LOCK_PATH) -> dict[str, str]:
    """The versions of the packages in a lock file, by name."""
    found = re.findall(r"^([\w.-]+)==([\w.]+)", lock.read_text("utf-8"), re.MULTILINE)
    return dict(found)


def _is_made(home: Path, wanted: str) -> bool:
    mark = home / _MARK
    return mark.is_file() and mark.read_text("utf-8") == wanted


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    with (cache / "peers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command lines
    if answer.returncode != 0:
        said = "\n".join((answer.stdout + answer.stderr).splitlines()[-_TAIL_LINES:])
        raise UnavailableError(
            Code.PROCESS_FAILED, f"The peers can't be installed:\n{said}", hint="--without-peers"
        )
