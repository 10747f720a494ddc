"""One host of the resolver's functions: started, warmed up, measured."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import httpx

from calstream_ops.bench.installation import Installation, Reader
from calstream_ops.bench.process import WorkerProcess
from calstream_ops.bench.resolve_scene import Scene
from calstream_ops.stack.ports import LOOPBACK, remembered_ports
from calstream_schemas.topics import ENTITIES, OBSERVATIONS, WEBHOOKS

_READY_SECONDS = 300.0
_LOOK_SECONDS = 0.05
_PEERS = Path(__file__).parent / "peers"

Say = Callable[[str], None]


@dataclass(slots=True)
class Hosted:
    """What a host did.

    Attributes:
        seconds: from the first webhook's writing to the last entity's reading.
        cpu_seconds: of the process, all its threads.
        main_cpu_seconds: of the thread that runs Python.
        samples: where that thread was, by step.
        max_resident_bytes: the most memory.
        entities: how many versions were written.
        warm_entities: how many before, by the webhooks to warm up with.
        truth: a hash of the newest value of each entity.
    """

    seconds: float
    cpu_seconds: float
    main_cpu_seconds: float
    samples: Mapping[str, int]
    max_resident_bytes: int
    entities: int
    warm_entities: int
    truth: Mapping[bytes, bytes] = field(repr=False)


class Host(Protocol):
    """A process that hosts the functions."""

    @property
    def name(self) -> str:
        """For messages."""

    def command(self) -> Sequence[str]:
        """Runs it until SIGTERM; it tells its progress as `calstream_ops.bench.pinned` does."""

    def environment(self) -> Mapping[str, str]:
        """Variables for it."""

    def is_ready(self, worker: WorkerProcess) -> bool:
        """Whether it has read what is known and waits for webhooks."""

    def is_done(self, entities: int, *, warming: bool) -> bool:
        """Whether everything is resolved that was written so far.

        Args:
            entities: so many were read.
            warming: whether only the webhooks to warm up with were written.
        """


class Processors:
    """Our own: `python -m calstream_processors` on one core.

    Args:
        installation: what it works on.
        core: where; None for anywhere.
    """

    name = "processors"

    def __init__(self, installation: Installation, core: int | None) -> None:
        ports = installation.file.with_suffix(".ports.json")
        self._listen = f"{LOOPBACK}:{remembered_ports(ports, (self.name,))[self.name]}"
        self._installation = installation
        self._core = core

    def command(self) -> Sequence[str]:
        """See `Host`."""
        core = "any" if self._core is None else str(self._core)
        module = "calstream_ops.bench.pinned"
        return (sys.executable, "-P", "-m", module, core, "--health-listen", self._listen)

    def environment(self) -> Mapping[str, str]:
        """See `Host`."""
        return {"CALSTREAM_CONFIG": str(self._installation.file)}

    def is_ready(self, worker: WorkerProcess) -> bool:  # noqa: ARG002 - it is asked over HTTP
        """See `Host`."""
        try:
            answer = httpx.get(f"http://{self._listen}/healthz", trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK

    def is_done(self, entities: int, *, warming: bool) -> bool:  # noqa: ARG002 - see positions
        """See `Host`."""
        asked = httpx.post(
            f"http://{self._listen}/v1/positions",
            json={},
            headers={"X-Calstream-Action": "bench"},
            trust_env=False,
        ).raise_for_status()
        partition = str(self._installation.partition)
        return all(
            asked.json()[topic.name].get(partition) == self._installation.end(topic)
            for topic in (WEBHOOKS, OBSERVATIONS)  # in this order: the one fills the other
        )


class QuixStreams:
    """The same functions on Quix Streams, by the peers' Python.

    Args:
        installation: what it works on.
        core: where; None for anywhere.
        python: the peers' Python.
        ours: what our own processors did, by which it is known when everything is done.
    """

    name = "quix"
    application: Mapping[str, Any] = MappingProxyType(
        {
            "auto_offset_reset": "earliest",
            "processing_guarantee": "at-least-once",
            "use_changelog_topics": True,
            "producer_extra_config": {"acks": "all", "linger.ms": 20, "compression.type": "lz4"},
        }
    )

    def __init__(
        self, installation: Installation, core: int | None, python: Path, ours: Hosted
    ) -> None:
        self._installation = installation
        self._core = core
        self._python = python
        self._ours = ours

    def command(self) -> Sequence[str]:
        """See `Host`."""
        settings = {
            "file": str(self._installation.file),
            "core": self._core,
            "path": [path for path in sys.path if path],
            "state_directory": str(self._installation.file.with_suffix(".quix")),
            "application": dict(self.application),
        }
        return (str(self._python), "-I", str(_PEERS / "quix_resolver.py"), json.dumps(settings))

    def environment(self) -> Mapping[str, str]:
        """See `Host`."""
        return {}

    def is_ready(self, worker: WorkerProcess) -> bool:
        """See `Host`."""
        return worker.last("ready") is not None

    def is_done(self, entities: int, *, warming: bool) -> bool:
        """See `Host`."""
        warm = self._ours.warm_entities
        return entities >= (warm if warming else warm + self._ours.entities)


def run_hosted(host: Host, installation: Installation, scene: Scene, say: Say) -> Hosted:
    """Lets a host resolve all webhooks, and measures the second part; blocks.

    Raises:
        UnavailableError: it failed.
    """
    with WorkerProcess(host.name, host.command(), host.environment()) as worker:
        _wait(lambda: host.is_ready(worker), worker)
        say(f"{host.name}: warming up")
        reader = Reader(installation, ENTITIES)
        try:
            return _measured(host, installation, scene, worker, reader)
        finally:
            reader.close()
            worker.stop()


def _measured(
    host: Host, installation: Installation, scene: Scene, worker: WorkerProcess, reader: Reader
) -> Hosted:
    def is_done(*, warming: bool) -> bool:
        worker.check()
        return host.is_done(reader.count, warming=warming)

    installation.write(WEBHOOKS, scene.warm_up)
    reader.until(partial(is_done, warming=True))
    before, already = _progress(worker), reader.count
    began = time.monotonic()
    installation.write(WEBHOOKS, scene.webhooks)
    ended = reader.until(partial(is_done, warming=False))
    after = _progress(worker)
    return Hosted(
        seconds=ended - began,
        cpu_seconds=after["cpu_seconds"] - before["cpu_seconds"],
        main_cpu_seconds=after["main_cpu_seconds"] - before["main_cpu_seconds"],
        samples=Counter(after["samples"]) - Counter(before["samples"]),
        max_resident_bytes=after["max_resident_bytes"],
        entities=reader.count - already,
        warm_entities=already,
        truth=reader.last,
    )


def _progress(worker: WorkerProcess) -> dict[str, Any]:
    """What it says of itself next."""
    known, found = worker.last("progress"), None

    def is_new() -> bool:
        nonlocal found
        found = worker.last("progress")
        return found is not None and found is not known

    _wait(is_new, worker)
    assert found is not None
    return found


def _wait(is_so: Callable[[], bool], worker: WorkerProcess) -> None:
    give_up_at = time.monotonic() + _READY_SECONDS
    while not is_so():
        worker.check()
        if time.monotonic() > give_up_at:
            raise worker.failed(f"was not ready in {_READY_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)
