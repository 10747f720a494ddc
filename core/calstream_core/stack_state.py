"""What runs on this machine: the file that the supervisor of the local stack keeps up to date.

Every layer may read it, to find the embedded broker; only the supervisor writes it.
"""

import os
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.process_identity import ProcessIdentity
from calstream_core.settings import Settings

BROKER = "broker"
"""The name of the embedded broker among the processes."""

_FILE_NAME = "stack.json"


class ProcessRecord(BaseModel):
    """One process of the stack.

    Attributes:
        name: what it is called in the output.
        identity: which process it is.
        started_at: when the supervisor started it.
        address: HOST:PORT where it is reached; empty if it listens nowhere.
        health: what to ask whether it is well, `http://...` or `kafka://HOST:PORT`; may be empty.
        log_path: where its output is kept.
        ready: whether it has been ready once.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    identity: ProcessIdentity
    started_at: datetime
    address: str = ""
    health: str = ""
    log_path: Path | None = None
    ready: bool = False


class StackState(BaseModel):
    """The local stack as the supervisor sees it.

    Attributes:
        supervisor: the process that started the others and stops them.
        started_at: when it began.
        processes: in the order in which they were started.
        ready: whether all of them are up.
    """

    model_config = ConfigDict(frozen=True)

    supervisor: ProcessIdentity
    started_at: datetime
    processes: tuple[ProcessRecord, ...] = ()
    ready: bool = False

    def find(self, name: str) -> ProcessRecord | None:
        """The process of that name, if the supervisor has started it."""
        return next((process for process in self.processes if process.name == name), None)


def read_stack(state_directory: Path) -> StackState | None:
    """What the supervisor last wrote, or None where there is no stack.

    The processes in it may have died since; ask their identities.

    Raises:
        ConfigError: the file is there but is not ours.
    """
    path = state_directory / _FILE_NAME
    try:
        return StackState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"{path} can't be understood.",
            hint="Another release may have written it. Delete it if no Calstream runs.",
        ) from error


def write_stack(state_directory: Path, state: StackState) -> None:
    """Replaces the file at once: a reader sees the old state or the new one, nothing between."""
    state_directory.mkdir(parents=True, exist_ok=True)
    path = state_directory / _FILE_NAME
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(state.model_dump_json(indent=2) + "\n", "utf-8")
    draft.replace(path)


def remove_stack(state_directory: Path) -> None:
    """Forgets the stack; nothing happens where there is none."""
    (state_directory / _FILE_NAME).unlink(missing_ok=True)


def broker_address(settings: Settings) -> str:
    """Where Kafka is: the settings' address, else the embedded broker that runs now.

    Raises:
        UnavailableError: no address is set and no embedded broker is ready.
    """
    if settings.kafka.bootstrap_servers:
        return settings.kafka.bootstrap_servers
    stack = read_stack(settings.state.directory)
    broker = stack.find(BROKER) if stack else None
    if broker and broker.ready and broker.identity.is_alive():
        return broker.address
    raise UnavailableError(
        Code.STACK_NOT_RUNNING,
        "No Kafka broker is set in the settings, and the embedded one does not run.",
        hint="Start it with `calstream up`, or set kafka.bootstrap_servers.",
    )
