"""One host of the resolver's functions: started, warmed up, measured."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from calstream_ops.bench.installation import Installation, Reader
from calstream_ops.bench.process import WorkerProcess
from calstream_ops.bench.resolve_scene import Scene
from calstream_ops.stack.ports import LOOPBACK, remembered_ports
from calstream_schemas.topics import ENTITIES, OBSERVATIONS, WEBHOOKS

_READY_SECONDS = 300.0
_LOOK_SECONDS = 0.05

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
        truth: a hash of the newest value of each entity.
    """

    seconds: float
    cpu_seconds: float
    main_cpu_seconds: float
    samples: Mapping[str, int]
    max_resident_bytes: int
    entities: int
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

    def is_done(self, entities: int) -> bool:
        """Whether everything is resolved, where so many entities were read."""


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

    def is_done(self, entities: int) -> bool:  # noqa: ARG002 - it tells its positions itself
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
    def is_done() -> bool:
        worker.check()
        return host.is_done(reader.count)

    installation.write(WEBHOOKS, scene.warm_up)
    reader.until(is_done)
    before, already = _progress(worker), reader.count
    began = time.monotonic()
    installation.write(WEBHOOKS, scene.webhooks)
    ended = reader.until(is_done)
    after = _progress(worker)
    return Hosted(
        seconds=ended - began,
        cpu_seconds=after["cpu_seconds"] - before["cpu_seconds"],
        main_cpu_seconds=after["main_cpu_seconds"] - before["main_cpu_seconds"],
        samples=Counter(after["samples"]) - Counter(before["samples"]),
        max_resident_bytes=after["max_resident_bytes"],
        entities=reader.count - already,
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
