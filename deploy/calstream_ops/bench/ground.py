"""Where a bench runs: a broker of its own, its topics, and room on disk for the workers' state."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from calstream_ops.bench.output import Output
from calstream_ops.stack import EmbeddedBroker

_ADMIN_SECONDS = 30.0
PARTITIONS = 4
"""Of every topic of a bench."""


@dataclass(frozen=True, slots=True)
class Run:
    """One worker's run: names and a place that no other run has.

    Attributes:
        app: the application's id.
        bootstrap_servers: the broker.
        source: the topic that is read.
        output: the topic that is written, with the broker's times.
        changelog: a compacted topic for the state.
        state_directory: an empty directory.
    """

    app: str
    bootstrap_servers: str
    source: str
    output: str
    changelog: str
    state_directory: str


@dataclass
class Ground:
    """A broker, and a directory that goes with it.

    Attributes:
        bootstrap_servers: the broker.
        directory: everything on disk.
    """

    bootstrap_servers: str
    directory: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 2})

    def topic(self, name: str, *, compact: bool = False, stamped: bool = False) -> str:
        """Makes a topic and returns its name, which gets a number.

        Args:
            name: what it is for.
            compact: whether it keeps the newest record of each key.
            stamped: whether the broker's own time stands on the records.
        """
        full = f"bench-{next(self._numbers)}-{name}"
        settings = {
            "cleanup.policy": "compact" if compact else "delete",
            "message.timestamp.type": "LogAppendTime" if stamped else "CreateTime",
        }
        topic = NewTopic(full, PARTITIONS, 1, config=settings)
        for made in self._admin.create_topics([topic]).values():
            made.result(_ADMIN_SECONDS)
        return full

    @contextmanager
    def run(self, name: str, source: str, changelog: str | None = None) -> Iterator[Run]:
        """Topics and a directory for one run; both go with the block.

        Args:
            name: the engine's.
            source: the topic to read.
            changelog: one that is filled already, and stays.
        """
        output = self.topic(f"{name}-output", stamped=True)
        made = [output]
        if changelog is None:
            changelog = self.topic(f"{name}-changelog", compact=True)
            made.append(changelog)
        with tempfile.TemporaryDirectory(dir=self.directory, prefix="state-") as state:
            app = output.removesuffix("-output")
            yield Run(app, self.bootstrap_servers, source, output, changelog, state)
        for deleted in self._admin.delete_topics(made).values():
            deleted.result(_ADMIN_SECONDS)

    def output(self, run: Run) -> Output:
        """What comes out of a run."""
        return Output(self._admin, self.bootstrap_servers, run.output, PARTITIONS)


@contextmanager
def own_ground() -> Iterator[Ground]:
    """An embedded broker in a temporary directory; nothing is left of it after the block.

    Raises:
        ConfigError: there is no Java, or no jars.
        UnavailableError: the broker does not start.
    """
    with tempfile.TemporaryDirectory(prefix="calstream-bench-") as directory:
        root = Path(directory)
        with EmbeddedBroker(root / "kafka") as broker:
            yield Ground(broker.address, root)
