"""What a bench tells: results against goals, as one JSON object.

{"bench", "machine", "commit", "settings", "results": [{"name", "value", "unit", "goal", "met"}]}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured.

    Attributes:
        name: stays the same between releases.
        unit: of the value.
        goal: what the value must reach; None for a value that is there to compare with.
        at_most: whether the goal is a limit: smaller is better.
        digits: after the point.
        needs_peers: whether it can't be had without the peers.
    """

    name: str
    unit: str
    goal: float | None = None
    at_most: bool = False
    digits: int = 0
    needs_peers: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """A value that was measured, or could not be.

    Attributes:
        measure: what it is a value of.
        value: None if it could not be measured; the settings say why.
        wanted: whether it was asked for.
    """

    measure: Measure
    value: float | None
    wanted: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none, or nobody asked.

        What was asked for and could not be measured is not met.
        """
        goal = self.measure.goal
        if goal is None or not self.wanted:
            return None
        if self.value is None:
            return False
        return self.value <= goal if self.measure.at_most else self.value >= goal

    def as_json(self) -> dict[str, Any]:
        """The result as JSON has it."""
        value = self.value
        if value is not None:
            value = round(value, self.measure.digits) if self.measure.digits else round(value)
        return {
            "name": self.measure.name,
            "value": value,
            "unit": self.measure.unit,
            "goal": self.measure.goal,
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """One run of a bench.

    Attributes:
        bench: its name.
        machine: where it ran.
        commit: what ran, if that is known.
        settings: everything that the figures depend on.
        results: in the order in which they are shown.
    """

    bench: str
    machine: Mapping[str, Any]
    commit: str | None
    settings: Mapping[str, Any]
    results: Sequence[Result]

    @property
    def ok(self) -> bool:
        """Whether every goal is met."""
        return all(result.met is not False for result in self.results)

    @property
    def exit_status(self) -> int:
        """0 when every goal is met, else 1."""
        return 0 if self.ok else 1

    def as_json(self) -> dict[str, Any]:
        """The one object."""
        return {
            "bench": self.bench,
            "machine": dict(self.machine),
            "commit": self.commit,
            "settings": dict(self.settings),
            "results": [result.as_json() for result in self.results],
        }


def results(
    measures: Sequence[Measure], values: Mapping[str, float | None], *, with_peers: bool
) -> list[Result]:
    """A result for each measure, in their order; what is not among the values has none."""
    unknown = values.keys() - {measure.name for measure in measures}
    assert not unknown, unknown
    return [
        Result(measure, values.get(measure.name), wanted=with_peers or not measure.needs_peers)
        for measure in measures
    ]


def ratio(value: float | None, reference: float | None) -> float | None:
    """How many times the reference a value is; None if one of them is missing."""
    return value / reference if value is not None and reference else None
