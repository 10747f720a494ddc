"""`calstream bench engine`: our engine and its peers, on one broker, with the same records."""

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from calstream_core.errors import CalstreamError
from calstream_ops.bench.engines import Calstream, Engine, Faust, Quix, Streams
from calstream_ops.bench.ground import PARTITIONS, Ground, own_ground
from calstream_ops.bench.latency import RECORDS_A_SECOND, measure_direct, measure_latency
from calstream_ops.bench.load import Load, produce
from calstream_ops.bench.machine import commit, describe_machine
from calstream_ops.bench.measures import ENGINE
from calstream_ops.bench.peers.environment import (
    cache_directory,
    install_peers,
    locked_versions,
)
from calstream_ops.bench.peers.kafka_streams import install_kafka_streams
from calstream_ops.bench.report import Report, ratio, results
from calstream_ops.bench.restore import measure_faust_restore, measure_restore
from calstream_ops.bench.throughput import measure_throughput

Say = Callable[[str], None]

_JOB = (
    "parse a JSON record, compare its last_modified with the state of its key (the key's newest "
    "record), write the state, forward the record; every record is newer than the ones before it"
)
_NOTES = {
    "rate": "outputs a second by the broker's own clock (LogAppendTime), without the warm-up, as "
    "read_committed shows them; the median of the rounds, in which the engines take turns",
    "ratio": "transactional, with state and exactly once, against the peer's at least once: the "
    "same job",
    "1m": "records of 300 bytes over 1 million keys; ours with all of them restored before, the "
    "peers from an empty state",
    "restore": "from the app's start, joining its group included, to all partitions ready",
    "memory": "the most that was resident, restore and the traffic after it included",
    "latency": "end to end, from produce to a read_committed consumer, at 1,000 records/s; "
    "direct is the same without a stage",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        small: records over few keys, for the rates.
        wide: the same over as many keys as are restored.
        restored_keys: how many keys a restore brings.
        rounds: how often each engine is measured; the median counts.
        box_seconds: how long an engine goes on after its first output, unless it is done.
        streams_box_seconds: the same for Kafka Streams, which warms up for longer.
        faust_restore_seconds: after which stock Faust's restore is stopped and estimated.
        latency_seconds: of each measurement of latency.
    """

    small: Load = field(default_factory=lambda: Load(1_200_000, 5000, PARTITIONS, 230))
    wide: Load = field(default_factory=lambda: Load(800_000, 1_000_000, PARTITIONS, 300, seed=2))
    restored_keys: int = 1_000_000
    rounds: int = 3
    box_seconds: float = 8.0
    streams_box_seconds: float = 11.0
    faust_restore_seconds: float = 40.0
    latency_seconds: float = 10.0


QUICK = Plan(
    small=Load(40_000, 5000, PARTITIONS, 230),
    wide=Load(20_000, 20_000, PARTITIONS, 300, seed=2),
    restored_keys=20_000,
    rounds=1,
    box_seconds=3.0,
    streams_box_seconds=6.0,
    faust_restore_seconds=5.0,
    latency_seconds=2.0,
)
"""For trying out; its figures say little."""


@dataclass(slots=True)
class _Bench:
    """One run in progress."""

    plan: Plan
    say: Say
    values: dict[str, float | None] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)
    engines: dict[str, Any] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    quix: Quix | None = None
    faust: Faust | None = None

    def run(self, ground: Ground, *, with_peers: bool) -> None:
        """Measures everything, one after the other."""
        if with_peers:
            self._find_peers()
        small = self._fill(ground, "small", self.plan.small)
        self._rounds(ground, small)
        if with_peers:
            self._kafka_streams(ground, small)
        self._million(ground)
        self._latency(ground)

    def settings(self, *, with_peers: bool) -> dict[str, Any]:
        """What the figures depend on."""
        return {
            "quick": self.plan is QUICK,
            "job": _JOB,
            "notes": _NOTES,
            "plan": dataclasses.asdict(self.plan),
            "partitions": PARTITIONS,
            "workers": 1,
            "latency_records_per_second": RECORDS_A_SECOND,
            "peers": with_peers,
            "engines": self.engines,
            "rounds": self.rates,
            "not_measured": self.not_measured,
            **self.details,
        }

    @contextlib.contextmanager
    def _peer(self, *names: str) -> Iterator[None]:
        """A peer that fails leaves results without a value, and the reason in the settings."""
        try:
            yield
        except CalstreamError as error:
            self.say(f"not measured: {error.message}")
            for name in names:
                self.not_measured[name] = error.message

    def _find_peers(self) -> None:
        with self._peer("quix", "faust"):
            python = install_peers(cache_directory(), self.say)
            versions = locked_versions()
            self.quix = Quix(python, versions["quixstreams"])
            self.faust = Faust(python, versions["faust-streaming"])

    def _fill(self, ground: Ground, name: str, load: Load, *, compact: bool = False) -> str:
        topic = ground.topic(name, compact=compact)
        self.say(f"writing {load.count:,} records of {load.value_bytes} bytes")
        produce(ground.bootstrap_servers, topic, load)
        return topic

    def _rounds(self, ground: Ground, source: str) -> None:
        """The engines take turns, so that whatever else the machine does meets all of them."""
        for number in range(self.plan.rounds):
            of_rounds = f"round {number + 1} of {self.plan.rounds}"
            for mode in ("plain", "transactional"):
                self._rate(f"{mode}_records_per_second", ground, Calstream(mode), source, of_rounds)
            for peer in (self.quix, self.faust):
                if peer is not None and peer.name not in self.not_measured:
                    with self._peer(peer.name):
                        name = f"{peer.name}_records_per_second"
                        self._rate(name, ground, peer, source, of_rounds)
        ours = self.values["transactional_records_per_second"]
        for name in ("quix", "faust"):
            theirs = self.values.get(f"{name}_records_per_second")
            self.values[f"ratio_to_{name}"] = ratio(ours, theirs)

    def _rate(
        self,
        name: str,
        ground: Ground,
        engine: Engine,
        source: str,
        what: str,
        *,
        load: Load | None = None,
        box_seconds: float | None = None,
    ) -> None:
        window = measure_throughput(
            ground,
            engine,
            source,
            records=(load or self.plan.small).count,
            box_seconds=box_seconds or self.plan.box_seconds,
        )
        self.say(f"{what}: {name} {window.per_second:,.0f}")
        self.rates.setdefault(name, []).append(round(window.per_second))
        self.values[name] = statistics.median(self.rates[name])
        self.engines[name] = engine.settings()

    def _kafka_streams(self, ground: Ground, source: str) -> None:
        with self._peer("kafka_streams"):
            installed = install_kafka_streams(cache_directory(), self.say)
            for name, guarantee in (
                ("kafka_streams_records_per_second", "at_least_once"),
                ("kafka_streams_eos_records_per_second", "exactly_once_v2"),
            ):
                engine = Streams(installed, guarantee)
                seconds = self.plan.streams_box_seconds
                self._rate(name, ground, engine, source, "once", box_seconds=seconds)

    def _million(self, ground: Ground) -> None:
        """As many keys as a restore brings: restore, memory, and the rates over them."""
        keys = self.plan.restored_keys
        state = Load(
            keys, keys, PARTITIONS, self.plan.wide.value_bytes, seed=3, every_key_once=True
        )
        changelog = self._fill(ground, "changelog", state, compact=True)
        wide = self._fill(ground, "wide", self.plan.wide)
        restored = measure_restore(
            ground,
            changelog,
            wide,
            records=self.plan.wide.count,
            box_seconds=self.plan.box_seconds,
        )
        self.values["restore_1m_seconds"] = restored.seconds
        self.values["memory_1m_mb"] = restored.memory_mb
        self.values["transactional_1m_records_per_second"] = restored.records_per_second
        self.say(
            f"{keys:,} keys restored in {restored.seconds:.1f} s, {restored.memory_mb:.0f} MB, "
            f"then {restored.records_per_second:,.0f} records/s"
        )
        for peer in (self.quix, self.faust):
            if peer is not None and peer.name not in self.not_measured:
                with self._peer(f"{peer.name}_1m"):
                    name = f"{peer.name}_1m_records_per_second"
                    self._rate(name, ground, peer, wide, "once", load=self.plan.wide)
        if self.faust is not None:
            with self._peer("faust_restore"):
                self._faust_restore(ground, self.faust, changelog, wide)

    def _faust_restore(self, ground: Ground, faust: Faust, changelog: str, source: str) -> None:
        found = measure_faust_restore(
            ground, faust, changelog, source, limit_seconds=self.plan.faust_restore_seconds
        )
        self.values["faust_restore_1m_seconds"] = found.seconds
        self.details["faust_restore"] = found.details
        self.say(f"stock Faust's restore: {found.seconds:.0f} s {found.details}")

    def _latency(self, ground: Ground) -> None:
        seconds = self.plan.latency_seconds
        direct = measure_direct(ground, seconds)
        self.values["latency_p99_direct_ms"] = direct.percentile(99)
        for mode in ("plain", "transactional"):
            found = measure_latency(ground, mode, seconds)
            self.values[f"latency_p50_{mode}_ms"] = found.percentile(50)
            self.values[f"latency_p99_{mode}_ms"] = found.percentile(99)
            self.say(
                f"latency {mode}: p50 {found.percentile(50):.1f} ms, "
                f"p99 {found.percentile(99):.1f} ms (direct {direct.percentile(99):.1f} ms)"
            )


def run_engine_bench(say: Say, *, plan: Plan | None = None, with_peers: bool = True) -> Report:
    """Measures our engine and its peers; blocks for about six minutes.

    Args:
        say: is told how far it is, a line at a time.
        plan: how much is measured; by default all of it.
        with_peers: whether the peers are measured too.

    Raises:
        ConfigError: there is no Java, or no jars, for the broker.
        UnavailableError: the broker or a worker of ours failed.
    """
    bench = _Bench(plan or Plan(), say)
    with own_ground() as ground:
        bench.run(ground, with_peers=with_peers)
    return Report(
        bench="engine",
        machine=describe_machine(),
        commit=commit(),
        settings=bench.settings(with_peers=with_peers),
        results=results(ENGINE, bench.values, with_peers=with_peers),
    )
