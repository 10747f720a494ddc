"""Kafka Streams: its jars, and the job, compiled when it is first needed."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calstream_core.errors import Code, UnavailableError
from calstream_ops.stack.jar_lock import read_lock
from calstream_ops.stack.jars import Say, install_jars
from calstream_ops.stack.java import find_java

LOCK_PATH = Path(__file__).with_name("kafka_streams.lock.toml")
"""`python -m calstream_ops.bench.peers.lock` writes it."""

_SOURCE = Path(__file__).with_name("KafkaStreamsJob.java")
_MAIN = _SOURCE.stem
_HEAP_MEGABYTES = 1024
_COMPILE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class KafkaStreams:
    """What is needed to run the job.

    Attributes:
        command: it runs the job, with the settings as its last argument.
        version: Kafka Streams' version.
    """

    command: Sequence[str]
    version: str


def install_kafka_streams(cache: Path, say: Say) -> KafkaStreams:
    """Brings the jars and compiles the job, if that was not done before; blocks.

    Args:
        cache: a directory that stays.
        say: is told how far it is.

    Raises:
        UnavailableError: there is no javac, a jar can't be had, or the job can't be compiled.
        SecurityError: a jar is not the one that was locked.
        ConfigError: there is no Java.
    """
    java = find_java()
    javac = shutil.which(
        "javac", path=f"{java.path.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if javac is None:
        raise UnavailableError(Code.PROCESS_FAILED, "There is no javac, so no Kafka Streams.")
    lock = read_lock(LOCK_PATH)
    jars = install_jars(say, directory=cache / "kafka-streams", lock=lock)
    class_path = os.pathsep.join(str(path) for path in jars)
    key = hashlib.sha256(f"{class_path}\n{java.major}\n".encode() + _SOURCE.read_bytes())
    classes = cache / f"kafka-streams-job-{key.hexdigest()[:12]}"
    if not classes.is_dir():
        say("compiling the job for Kafka Streams")
        _compile(javac, class_path, classes)
    command = (
        str(java.path),
        f"-Xmx{_HEAP_MEGABYTES}m",
        "-cp",
        f"{classes}{os.pathsep}{class_path}",
        _MAIN,
    )
    return KafkaStreams(command, lock.kafka_version)


def _compile(javac: str, class_path: str, target: Path) -> None:
    """Compiles beside and renames, so that what is there is whole."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="compile-") as draft:
        made = Path(draft) / "classes"
        answer = subprocess.run(  # noqa: S603 - the compiler of the Java that runs the broker
            [javac, "-cp", class_path, "-d", str(made), str(_SOURCE)],
            capture_output=True,
            text=True,
            timeout=_COMPILE_SECONDS,
            check=False,
        )
        if answer.returncode != 0:
            raise UnavailableError(
                Code.PROCESS_FAILED,
                f"The job for Kafka Streams can't be compiled: {answer.stderr.strip()}",
            )
        made.rename(target)
