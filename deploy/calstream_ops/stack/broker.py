"""The embedded broker: a real Apache Kafka in KRaft mode, on this machine only."""

import base64
import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from calstream_core.errors import Code, UnavailableError
from calstream_core.stack_state import BROKER
from calstream_ops.stack.broker_config import (
    DATA_DIRECTORY,
    LOG_FILE_NAME,
    PROPERTIES_NAME,
    broker_properties,
    jvm_flags,
    write_config,
)
from calstream_ops.stack.child import Child, ChildSpec, Lifeline
from calstream_ops.stack.health import admin_client, broker_answers
from calstream_ops.stack.jars import installed_jars
from calstream_ops.stack.java import find_java
from calstream_ops.stack.ports import LOOPBACK, remembered_ports

_FORMATTING = "formatting"
_FORMAT_SECONDS = 60
_ASK_SECONDS = 0.25


class EmbeddedBroker:
    """A broker with its data in one directory.

    Use `start`, `stop` and `kill`, or it as a context manager; or `prepare` alone, where a
    supervisor runs the process. The process dies with the one that started it.

    Args:
        directory: its data, configuration and log; made if it is not there.
        heap_megabytes: the most memory that Java objects may take; the process takes some more.
        properties: Kafka's own settings that differ from ours, by their names.
    """

    def __init__(
        self,
        directory: Path,
        *,
        heap_megabytes: int = 384,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.log_path = self.directory / LOG_FILE_NAME
        self.address = ""
        self._heap_megabytes = heap_megabytes
        self._properties = dict(properties or {})
        self._lock: int | None = None
        self._lifeline: Lifeline | None = None
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The broker's process id while it has been started."""
        assert self._child is not None, "not started"
        return self._child.pid

    def prepare(self) -> ChildSpec:
        """Claims the directory, chooses ports and formats the storage if it is new.

        Blocks for a second or two the first time. After it `address` is known. The directory stays
        claimed until `release`, or until the process that was started from the answer has ended,
        whichever is later.

        Raises:
            ConfigError: there is no Java, or no jars.
            UnavailableError: another broker uses the directory, or formatting failed.
        """
        java = find_java()
        class_path = os.pathsep.join(str(path) for path in installed_jars())
        command = (
            str(java.path),
            *jvm_flags(self._heap_megabytes, java.major),
            "-cp",
            class_path,
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = self._claim()
        try:
            self._configure(command)
        except BaseException:
            self.release()
            raise
        return ChildSpec(
            name=BROKER,
            argv=(*command, "kafka.Kafka", PROPERTIES_NAME),
            health=f"kafka://{self.address}",
            address=self.address,
            directory=self.directory,
            keep_open=(lock,),
        )

    def start(self, deadline_seconds: float = 60) -> str:
        """Starts the broker and returns its address once it answers.

        Raises:
            ConfigError: there is no Java, or no jars.
            UnavailableError: another broker uses the directory, or this one ended or did not
                answer in time; nothing of it is left.
        """
        try:
            spec = self.prepare()
            self._lifeline = Lifeline()
            self._child = Child(spec, self._lifeline)
            self._wait_until_it_answers(self._child, deadline_seconds)
        except BaseException:
            self.kill()
            raise
        return self.address

    def stop(self, deadline_seconds: float = 15) -> None:
        """Lets the broker finish, by force after the deadline. Nothing of it is left after this."""
        if self._child is not None:
            self._child.terminate()
            with contextlib.suppress(TimeoutError):  # then by force
                self._child.exited.result(deadline_seconds)
        self.kill()

    def kill(self) -> None:
        """Ends the broker at once, as a crash would. Nothing of it is left after this."""
        if self._child is not None:
            self._child.kill()
            self._child.exited.result()
            self._child = None
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        self.release()

    def release(self) -> None:
        """Gives the directory up as far as this process is concerned. May be called again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _claim(self) -> int:
        """Locks the directory; the broker inherits the lock and holds it while it lives."""
        lock = os.open(self.directory / "broker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise UnavailableError(
                Code.STACK_RUNNING,
                f"Another broker runs on {self.directory}.",
                hint="Stop it with `calstream down`, or set another state.directory.",
            ) from error
        self._lock = lock
        return lock

    def _configure(self, command: tuple[str, ...]) -> None:
        ports = remembered_ports(self.directory / "ports.json", ("broker", "controller"))
        ours = broker_properties(ports["broker"], ports["controller"], self._heap_megabytes)
        properties = ours | self._properties
        write_config(self.directory, properties)
        if not (self.directory / DATA_DIRECTORY).is_dir():
            self._format(command, properties)
        self.address = f"{LOOPBACK}:{ports['broker']}"

    def _format(self, command: tuple[str, ...], properties: dict[str, str]) -> None:
        """Formats beside and renames, so that a storage that is there is a whole one."""
        draft = self.directory / _FORMATTING
        if draft.exists():
            shutil.rmtree(draft)
        draft.mkdir()
        write_config(draft, properties)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # one word: an id that begins with "-" would else be taken for an option
        identity = f"--cluster-id={cluster_id}"
        tool = ("kafka.tools.StorageTool", "format", "-c", PROPERTIES_NAME, identity)
        spec = ChildSpec("format", (*command, *tool), directory=draft)
        with Lifeline() as lifeline:
            child = Child(spec, lifeline)
            status = child.exited.result(_FORMAT_SECONDS)
        if status != 0:
            raise _failed("Kafka's storage can't be formatted", child.tail)
        (draft / DATA_DIRECTORY).rename(self.directory / DATA_DIRECTORY)
        shutil.rmtree(draft)

    def _wait_until_it_answers(self, child: Child, deadline_seconds: float) -> None:
        admin = admin_client(self.address)
        give_up_at = time.monotonic() + deadline_seconds
        while not broker_answers(admin, _ASK_SECONDS):
            if child.exited.done():
                raise _failed("The embedded broker ended while it started", child.tail)
            if time.monotonic() > give_up_at:
                raise _failed(
                    f"The embedded broker does not answer after {deadline_seconds:.0f} s",
                    child.tail,
                    hint=f"Its log is {self.log_path}.",
                )


def _failed(what: str, lines: list[str], hint: str = "") -> UnavailableError:
    said = "\n".join(f"  {line}" for line in lines)
    return UnavailableError(
        Code.BROKER_FAILED, f"{what}.\n{said}" if said else f"{what}.", hint=hint
    )
