"""Brings the locked jars of Kafka onto this machine and finds them again.

No jar gets its name in our directory before its SHA-256 is that of the lock file.
"""

import fcntl
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext

from calstream_core.errors import (
    Code,
    ConfigError,
    SecurityError,
    UnavailableError,
)
from calstream_ops.stack.jar_lock import JarLock, LockedJar, read_lock

Say = Callable[[str], None]
"""Takes a line that tells a person how far it is."""

Fetch = Callable[[LockedJar, Path], Path]
"""Downloads a jar below a scratch directory and returns where it is."""

_MARK = "installed.sha256"
_PARALLEL = 4
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 60
_BETWEEN_LINES_SECONDS = 2.0
_MEGABYTE = 1_000_000


def installed_jars(lock: JarLock | None = None) -> list[Path]:
    """The class path of the embedded Kafka.

    Raises:
        ConfigError: the locked jars are not on this machine.
    """
    wanted = lock or read_lock()
    for directory in _directories():
        mark = directory / _MARK
        paths = [directory / jar.file_name for jar in wanted.jars]
        is_whole = mark.is_file() and mark.read_text("utf-8") == wanted.digest
        if is_whole and all(path.is_file() for path in paths):
            return paths
    raise ConfigError(
        Code.KAFKA_JARS_MISSING,
        f"The jars of Kafka {wanted.kafka_version} are not installed.",
        hint=f"Run `make install`, or `{sys.executable} -m calstream_ops.stack jars`.",
    )


def install_jars(
    say: Say,
    *,
    directory: Path | None = None,
    lock: JarLock | None = None,
    fetch: Fetch | None = None,
) -> list[Path]:
    """Makes the directory hold exactly the locked jars, and returns their class path.

    What is there and intact is kept, so this can be repeated after a failure. Two processes may
    call it at once.

    Args:
        say: is told how far it is, at most every two seconds.
        directory: by default the virtual environment's, else the user's cache.
        lock: by default the one of this package.
        fetch: by default from the Maven repositories that jgo is configured for.

    Raises:
        SecurityError: a download is not what was locked; it was thrown away.
        UnavailableError: a jar can't be downloaded.
    """
    wanted = lock or read_lock()
    target = directory or next(each for each in _directories() if _is_writable(each))
    target.mkdir(parents=True, exist_ok=True)
    paths = [target / jar.file_name for jar in wanted.jars]
    with _alone(target):
        missing = [jar for jar in wanted.jars if not _is_intact(target / jar.file_name, jar)]
        if missing:
            (target / _MARK).unlink(missing_ok=True)
            say(f"Kafka {wanted.kafka_version}: {len(missing)} jars to download")
            _download(missing, target, say, fetch or _fetch)
        for stale in set(target.glob("*.jar")) - set(paths):
            stale.unlink()
        (target / _MARK).write_text(wanted.digest, "utf-8")
    return paths


def remote_repositories() -> dict[str, str]:
    """Where jars come from: jgo's default, with what its own configuration file adds to it."""
    default: dict[str, str] = MavenContext().remote_repos
    return default | GlobalSettings.load().repositories


def _directories() -> list[Path]:
    return [
        Path(sys.prefix) / "share" / "calstream" / "kafka",
        platformdirs.user_cache_path("calstream", appauthor=False) / "kafka",
    ]


def _is_writable(directory: Path) -> bool:
    prefix = Path(sys.prefix)
    if not directory.is_relative_to(prefix):
        return True
    return sys.prefix != sys.base_prefix and os.access(prefix, os.W_OK)


def _is_intact(path: Path, jar: LockedJar) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(jars: Sequence[LockedJar], target: Path, say: Say, fetch: Fetch) -> None:
    done = size_bytes = 0
    told_at = time.monotonic()
    # inside the target, so that a verified jar only needs to be renamed, and nothing is left over
    with (
        tempfile.TemporaryDirectory(dir=target, prefix="download-") as scratch,
        ThreadPoolExecutor(_PARALLEL, thread_name_prefix="jars") as pool,
    ):
        work = [pool.submit(_bring, jar, target, Path(scratch), fetch) for jar in jars]
        try:
            for each in as_completed(work):
                size_bytes += each.result()
                done += 1
                if time.monotonic() - told_at > _BETWEEN_LINES_SECONDS or done == len(jars):
                    told_at = time.monotonic()
                    say(f"{done} of {len(jars)} jars, {size_bytes / _MEGABYTE:.1f} MB")
        finally:
            pool.shutdown(cancel_futures=True)


def _bring(jar: LockedJar, target: Path, scratch: Path, fetch: Fetch) -> int:
    path = fetch(jar, scratch)
    if not _is_intact(path, jar):
        path.unlink()
        raise SecurityError(
            Code.CHECKSUM_DIFFERS,
            f"{jar.coordinate} is not the file that was locked: its SHA-256 is not {jar.sha256}.",
            hint="It was thrown away. Try again; if it stays so, do not trust where it comes from.",
        )
    path.replace(target / jar.file_name)
    return (target / jar.file_name).stat().st_size


def _fetch(jar: LockedJar, scratch: Path) -> Path:
    context = MavenContext(
        repo_cache=scratch, remote_repos=remote_repositories(), timeout=_TIMEOUT_SECONDS
    )
    artifact = context.create_dependency(jar.coordinate).artifact
    assert artifact.cached_path is not None
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            return Path(artifact.resolve())
        except (requests.RequestException, RuntimeError) as error:  # jgo's word for "not found"
            failure = error
            # what a broken transfer left would be taken for the whole file
            artifact.cached_path.unlink(missing_ok=True)
    raise UnavailableError(
        Code.KAFKA_JARS_MISSING,
        f"{jar.coordinate} can't be downloaded: {failure}",
        hint="Check the network. A mirror can be named in jgo's configuration file "
        "(~/.config/jgo.conf, section [repositories]).",
    ) from failure
