"""What a trial comes to, in the fields that scripts read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from calstream_ops.chaos.moments import Minima
from calstream_ops.chaos.verdict import Verdict

_TOLD: Final = 60
_STATE: Final = ("state", "restored", "disks", "positions")


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a trial.

    Attributes:
        seed: its seed.
        events: how many records flowed.
        seconds: how long it took.
        done: what was done, by name; see `Minima` for those that are asked for.
        injected: failures that workers injected into themselves, by kind.
        exits: workers that ended by themselves, by reason.
        minima: how often each must have been done.
        verdict: the comparison.
        findings: what was wrong on the way.
    """

    seed: int
    events: int
    seconds: float
    done: Mapping[str, int]
    injected: Mapping[str, int]
    exits: Mapping[str, int]
    minima: Minima
    verdict: Verdict
    findings: list[str]

    @property
    def shortfalls(self) -> list[str]:
        """What was done less often than it must be."""
        done = {**self.done, "injected_failures": sum(self.injected.values())}
        return [
            f"{name}: {done.get(name, 0)} of {least}"
            for name, least in asdict(self.minima).items()
            if done.get(name, 0) < least
        ]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and everything was done often enough."""
        return self.verdict.ok and not self.findings and not self.shortfalls

    def fields(self) -> dict[str, Any]:
        """The report as an object."""
        equal = self.verdict.equal
        return {
            "ok": self.ok,
            "seed": self.seed,
            "events": self.events,
            "seconds": round(self.seconds, 1),
            "lost": len(self.verdict.lost),
            "duplicated_effects": self.verdict.duplicated,
            "state_equal": all(equal.get(name, False) for name in _STATE),
            **{f"{name}_equal": is_so for name, is_so in equal.items() if name != "state"},
            "plain_repeats": self.verdict.repeats,
            "plain_reordered": self.verdict.reordered,
            **{name: self.done.get(name, 0) for name in asdict(self.minima)},
            **self.done,
            "injected_failures": sum(self.injected.values()),
            "injected": dict(self.injected),
            "worker_exits": dict(self.exits),
            "findings": [f"{line} (seed {self.seed})" for line in self._told()],
        }

    def _told(self) -> list[str]:
        lines = [*self.findings, *self.shortfalls, *self.verdict.findings]
        more = len(lines) - _TOLD
        return [*lines[:_TOLD], f"... and {more} findings more"] if more > 0 else lines
