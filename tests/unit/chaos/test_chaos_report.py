"""What a trial prints, and when it is well."""

from dataclasses import asdict
from typing import Any

import pytest

from calstream_ops.chaos.moments import minima_of
from calstream_ops.chaos.report import Report
from calstream_ops.chaos.verdict import Verdict

MINIMA = minima_of(5000)
EQUAL = dict.fromkeys(("source", "outputs", "state", "positions", "restored", "disks"), True)


def report(**changes: Any) -> Report:
    done = {name: count for name, count in asdict(MINIMA).items() if name != "injected_failures"}
    fields: dict[str, Any] = {
        "seed": 7,
        "events": 5000,
        "seconds": 61.23,
        "done": {**done, **changes.pop("done", {})},
        "injected": {"commit-late": 3},
        "exits": {"worker-fenced": 1},
        "minima": MINIMA,
        "verdict": Verdict(equal=dict(EQUAL)),
        "findings": [],
    }
    return Report(**{**fields, **changes})


def test_a_report_names_what_scripts_read() -> None:
    fields = report().fields()
    assert fields["ok"] is True
    wanted = {"lost", "duplicated_effects", "kills", "broker_restarts", "state_equal", "stops"}
    wanted |= {"membership_changes", "injected_failures", "seconds", "seed", "events"}
    assert wanted <= fields.keys()
    assert (fields["lost"], fields["duplicated_effects"], fields["state_equal"]) == (0, 0, True)
    assert fields["seconds"] == 61.2
    assert fields["injected_failures"] == 3


@pytest.mark.parametrize("name", ["kills", "stops", "broker_restarts", "membership_changes"])
def test_what_was_done_too_seldom_proves_nothing(name: str) -> None:
    found = report(done={name: asdict(MINIMA)[name] - 1})
    assert not found.ok
    assert any(line.startswith(f"{name}: ") for line in found.fields()["findings"])


def test_without_injected_failures_nothing_is_proved() -> None:
    assert not report(injected={}).ok


@pytest.mark.parametrize("name", ["state", "positions", "restored", "disks"])
def test_the_state_is_equal_only_if_every_reader_finds_it_so(name: str) -> None:
    found = report(verdict=Verdict(equal={**EQUAL, name: False}))
    assert not found.ok
    assert found.fields()["state_equal"] is False


def test_a_state_that_nobody_compared_is_not_equal() -> None:
    assert report(verdict=Verdict()).fields()["state_equal"] is False


def test_losses_and_repeats_are_counted_and_are_not_well() -> None:
    found = report(verdict=Verdict(equal=dict(EQUAL), lost={(1, 2)}, duplicated=3))
    assert not found.ok
    assert (found.fields()["lost"], found.fields()["duplicated_effects"]) == (1, 3)


def test_every_finding_names_the_seed() -> None:
    found = report(findings=["worker-1 ended by itself"])
    assert not found.ok
    assert found.fields()["findings"] == ["worker-1 ended by itself (seed 7)"]


def test_of_very_many_findings_the_rest_are_counted() -> None:
    told = report(findings=[f"finding {number}" for number in range(100)]).fields()["findings"]
    assert told[0] == "finding 0 (seed 7)"
    assert told[-1] == "... and 40 findings more (seed 7)"
