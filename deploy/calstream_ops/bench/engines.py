"""The engines that are compared, and how each is run: one worker, `acks=all`, changelog on."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from calstream_ops.bench.ground import PARTITIONS, Run
from calstream_ops.bench.peers.kafka_streams import KafkaStreams
from calstream_ops.bench.worker import WorkerSettings

_PEERS = Path(__file__).parent / "peers"
_MEBIBYTE = 1 << 20


class Engine(Protocol):
    """One way to run the job."""

    @property
    def name(self) -> str:
        """What it is called in topics and messages."""

    @property
    def warm_up_seconds(self) -> float:
        """How long after the first output steady work begins."""

    def command(self, run: Run) -> Sequence[str]:
        """Runs a worker until SIGTERM."""

    def settings(self) -> Mapping[str, Any]:
        """All that the figures depend on."""


@dataclass(frozen=True, slots=True)
class Calstream:
    """Our engine in one of its modes."""

    mode: str
    name: str = "calstream"
    warm_up_seconds: float = 1.0

    def command(self, run: Run) -> Sequence[str]:
        """See `Engine`."""
        settings = WorkerSettings(mode=self.mode, **asdict(run))
        text = json.dumps(asdict(settings))
        return (sys.executable, "-P", "-m", "calstream_ops.bench.worker", text)

    def settings(self) -> Mapping[str, Any]:
        """See `Engine`."""
        stateful = self.mode == "transactional"
        return {
            "mode": self.mode,
            "job": "parse, compare with the state, write the state, forward"
            if stateful
            else "parse, forward; plain mode is for stages without state",
            "guarantee": "exactly once: one Kafka transaction a batch"
            if stateful
            else "at least once: acks=all, idempotent",
            "state": "RocksDB with a changelog" if stateful else "none",
            "confluent-kafka": metadata.version("confluent-kafka"),
            "rocksdict": metadata.version("rocksdict"),
        }


@dataclass(frozen=True, slots=True)
class Quix:
    """Quix Streams.

    Attributes:
        python: the peers' Python.
        version: of Quix Streams.
    """

    python: Path
    version: str
    name: str = "quix"
    warm_up_seconds: float = 1.0
    application: Mapping[str, Any] = field(
        default_factory=lambda: {
            "auto_offset_reset": "earliest",
            "processing_guarantee": "at-least-once",
            "use_changelog_topics": True,
            "producer_extra_config": {
                "acks": "all",
                "linger.ms": 20,
                "compression.type": "lz4",
            },
        }
    )

    def command(self, run: Run) -> Sequence[str]:
        """See `Engine`."""
        text = json.dumps({**asdict(run), "application": self.application})
        return (str(self.python), "-I", str(_PEERS / "quix_job.py"), text)

    def settings(self) -> Mapping[str, Any]:
        """See `Engine`."""
        return {
            "version": self.version,
            "state": "RocksDB with a changelog, values as raw bytes",
            "application": self.application,
        }


@dataclass(frozen=True, slots=True)
class Faust:
    """Stock Faust, tuned.

    Attributes:
        python: the peers' Python.
        version: of faust-streaming.
    """

    python: Path
    version: str
    name: str = "faust"
    warm_up_seconds: float = 1.0
    application: Mapping[str, Any] = field(
        default_factory=lambda: {
            "store": "memory://",
            "cython_optimizations": True,
            "producer_acks": -1,
            "producer_linger": 0.02,
            "producer_max_batch_size": _MEBIBYTE,
            "table_standby_replicas": 0,
            "topic_allow_declare": False,
            "topic_disable_leader": True,
        }
    )

    def command(self, run: Run) -> Sequence[str]:
        """See `Engine`."""
        text = json.dumps(
            {**asdict(run), "partitions": PARTITIONS, "application": self.application}
        )
        return (str(self.python), "-I", str(_PEERS / "faust_job.py"), text)

    def settings(self) -> Mapping[str, Any]:
        """See `Engine`."""
        return {
            "version": self.version,
            "state": "a table in memory with a changelog, values as raw bytes",
            "not_taken": "its RocksDB store, which is slower",
            "loop": "uvloop",
            "application": self.application,
        }


@dataclass(frozen=True, slots=True)
class Streams:
    """Kafka Streams.

    Attributes:
        installed: its jars and the job.
        guarantee: `at_least_once` or `exactly_once_v2`.
    """

    installed: KafkaStreams
    guarantee: str
    name: str = "kafka-streams"
    warm_up_seconds: float = 4.0  # until the compiler has seen the code often enough

    def properties(self) -> dict[str, str]:
        """Its configuration, without what is the run's."""
        return {
            "processing.guarantee": self.guarantee,
            "num.stream.threads": "1",
            "replication.factor": "1",
            "producer.acks": "all",
            "producer.compression.type": "lz4",
            "consumer.auto.offset.reset": "earliest",
        }

    def command(self, run: Run) -> Sequence[str]:
        """See `Engine`."""
        properties = self.properties() | {
            "application.id": run.app,
            "bootstrap.servers": run.bootstrap_servers,
            "state.dir": run.state_directory,
        }
        text = json.dumps({"source": run.source, "output": run.output, "properties": properties})
        return (*self.installed.command, text)

    def settings(self) -> Mapping[str, Any]:
        """See `Engine`."""
        return {
            "version": self.installed.version,
            "state": "RocksDB with a changelog, caching enabled",
            "properties": self.properties(),
        }
