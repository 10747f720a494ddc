"""The lock file of the broker's jars: exactly which files make up the embedded Kafka."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from calstream_core.errors import Code, ConfigError

LOCK_PATH = Path(__file__).with_name("kafka.lock.toml")
"""Committed and part of the package; `python -m calstream_ops.stack.lock` writes it."""

_SHA256_DIGITS = 64
_KAFKA = ("kafka_", "kafka-")


@dataclass(frozen=True, order=True)
class LockedJar:
    """One file of the embedded Kafka, by its Maven coordinates and its SHA-256 in hex."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """What it is called in our directory, and in every Maven repository."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        """Group, artifact and version as Maven writes them."""
        return f"{self.group}:{self.artifact}:{self.version}"


@dataclass(frozen=True)
class JarLock:
    """All files of the embedded Kafka.

    Attributes:
        jars: in the order of the class path.
    """

    jars: tuple[LockedJar, ...]

    @property
    def digest(self) -> str:
        """Tells one set of jars from another."""
        lines = "".join(f"{jar.coordinate} {jar.sha256}\n" for jar in self.jars)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def kafka_version(self) -> str:
        """Which Kafka this is, for example 4.1.2."""
        return next(jar.version for jar in self.jars if jar.artifact.startswith(_KAFKA))


def read_lock(path: Path = LOCK_PATH) -> JarLock:
    """Reads a lock file in jgo's format.

    Raises:
        ConfigError: it is not one, or a jar in it has no SHA-256.
    """
    try:
        dependencies = tomllib.loads(path.read_text("utf-8"))["dependencies"]
        jars = tuple(
            LockedJar(entry["groupId"], entry["artifactId"], entry["version"], entry["sha256"])
            for entry in dependencies
        )
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ConfigError(
            Code.CONFIG_INVALID, f"{path} is not a lock file of jars: {error!r}."
        ) from error
    unsure = [jar.coordinate for jar in jars if len(jar.sha256) != _SHA256_DIGITS]
    if unsure:
        raise ConfigError(Code.CONFIG_INVALID, f"{path} has no SHA-256 for {', '.join(unsure)}.")
    return JarLock(jars)
