"""`calstream bench resolve`: from webhooks to the truth, by one worker on one core."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from calstream_core.errors import CalstreamError, Code, InvariantError
from calstream_core.sealing import open_keys
from calstream_ops.bench.bookings import CHANGED, NEW
from calstream_ops.bench.ground import Ground, own_ground
from calstream_ops.bench.installation import Installation
from calstream_ops.bench.machine import commit, describe_machine
from calstream_ops.bench.measures import RESOLVE, STEP
from calstream_ops.bench.peers.environment import (
    cache_directory,
    install_peers,
    locked_versions,
)
from calstream_ops.bench.pinning import Cores, pinned_to
from calstream_ops.bench.report import Report, results
from calstream_ops.bench.resolve_run import Hosted, Processors, QuixStreams, run_hosted
from calstream_ops.bench.resolve_scene import Scene, make_scene
from calstream_ops.bench.steps import NAMES, NATIVE
from calstream_schemas.topics import ENTITIES

Say = Callable[[str], None]

_MICROSECONDS = 1_000_000
_MEGABYTE = 1_000_000
_NOTES = {
    "rate": "from the writing of the first webhook to the reading of the last entity",
    "mix": f"{NEW:.0%} new bookings, half of them of people who are known; "
    f"{CHANGED - NEW:.0%} changes of earlier bookings; the rest are deliveries that come again",
    "ratio": "ours and Quix Streams with the same functions and records, one core each, the state "
    "with a changelog, the truth compared byte by byte; for both all data keys were made before, "
    "since Quix Streams, which hands over one record at a time, would make them one by one; ours "
    "is exactly once, the peer at least once",
    "step": "processor time of the worker for each webhook; shares of Python's thread by samples",
    "work": "the whole worker, as `python -m calstream_processors` runs it: both stages and what "
    "lies between; data keys are made in SQLite",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        people: known to the workspace before.
        warm_up: webhooks before it is measured.
        webhooks: that are measured.
    """

    people: int = 200_000
    warm_up: int = 4_000
    webhooks: int = 40_000


QUICK = Plan(people=2_000, warm_up=500, webhooks=3_000)
"""For trying out; its figures say little."""


@dataclass(slots=True)
class _Bench:
    """One run in progress."""

    plan: Plan
    say: Say
    cores: Cores | None
    values: dict[str, float | None] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def run(self, ground: Ground, *, with_peers: bool) -> None:
        """Measures everything."""
        first = Installation(ground.directory, ground.bootstrap_servers, "first")
        self.say(f"making {self.plan.people:,} people and {self.plan.webhooks:,} webhooks")
        scene = make_scene(
            open_keys(first.settings),
            people=self.plan.people,
            warm_up=self.plan.warm_up,
            webhooks=self.plan.webhooks,
        )
        self._tell(self._ours(first, scene))
        if with_peers:
            try:
                self._compare(ground, scene)
            except CalstreamError as error:
                self.say(f"not measured: {error.message}")
                self.not_measured["quix"] = error.message

    def _ours(self, installation: Installation, scene: Scene) -> Hosted:
        self.say(f"writing {len(scene.state):,} entities")
        installation.write(ENTITIES, scene.state)
        found = run_hosted(Processors(installation, self._core), installation, scene, self.say)
        # what it kept of this installation's logs; its keys stay
        shutil.rmtree(installation.settings.state.directory / "processors")
        return found

    def _compare(self, ground: Ground, scene: Scene) -> None:
        """Ours and the peer once more, both with all keys made before, as one makes them singly."""
        python = install_peers(cache_directory(), self.say)
        again = Installation(ground.directory, ground.bootstrap_servers, "again")
        ours = self._ours(again, scene)
        peer = Installation(ground.directory, ground.bootstrap_servers, "quix")
        peer.write(ENTITIES, scene.state)
        theirs = run_hosted(QuixStreams(peer, self._core, python, ours), peer, scene, self.say)
        if theirs.truth != ours.truth:
            raise InvariantError(Code.INVARIANT_BROKEN, "Quix Streams gave another truth.")
        self.values["keyed_webhooks_per_second"] = self.plan.webhooks / ours.seconds
        self.values["quix_webhooks_per_second"] = self.plan.webhooks / theirs.seconds
        self.values["quix_cpu_us_per_webhook"] = (
            theirs.cpu_seconds / self.plan.webhooks * _MICROSECONDS
        )
        self.values["ratio_to_quix"] = theirs.seconds / ours.seconds
        self.details["quix"] = {
            "version": locked_versions()["quixstreams"],
            "application": dict(QuixStreams.application),
        }

    @property
    def _core(self) -> int | None:
        return None if self.cores is None else self.cores.worker

    def _tell(self, measured: Hosted) -> None:
        count = self.plan.webhooks
        in_all = measured.cpu_seconds / count * _MICROSECONDS
        by_python = measured.main_cpu_seconds / count * _MICROSECONDS
        samples = sum(measured.samples.values()) or 1
        self.values["webhooks_per_second_per_core"] = count / measured.seconds
        self.values["cpu_us_per_webhook"] = in_all
        self.values["webhooks_per_cpu_second"] = _MICROSECONDS / in_all
        self.values["max_memory_mb"] = measured.max_resident_bytes / _MEGABYTE
        for name in NAMES:
            share = measured.samples.get(name, 0) / samples
            self.values[STEP.format(name)] = by_python * share
        self.values[STEP.format(NATIVE)] = in_all - by_python
        self.details["entities"] = measured.entities
        self.say(
            f"{count / measured.seconds:,.0f} webhooks/s, {in_all:.0f} us of processor time each"
        )


def run_resolve_bench(say: Say, *, plan: Plan | None = None, with_peers: bool = True) -> Report:
    """Measures the processors; blocks for some minutes.

    Args:
        say: is told how far it is, a line at a time.
        plan: how much is measured; by default all of it.
        with_peers: whether the peer is measured too.

    Raises:
        ConfigError: there is no Java, or no jars, for the broker.
        UnavailableError: the broker or the worker failed.
    """
    asked = plan or Plan()
    cores = Cores.found()
    bench = _Bench(asked, say, cores)
    with pinned_to(cores.others if cores else None), own_ground() as ground:
        bench.run(ground, with_peers=with_peers)
    return Report(
        bench="resolve",
        machine=describe_machine(),
        commit=commit(),
        settings={
            "quick": asked is QUICK,
            "plan": asdict(asked),
            "notes": _NOTES,
            "cores": None if cores is None else asdict(cores),
            "peers": with_peers,
            "not_measured": bench.not_measured,
            **bench.details,
        },
        results=results(RESOLVE, bench.values, with_peers=with_peers),
    )
