"""The trial of the engine, from an empty folder to its report."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from calstream_core.errors import CalstreamError
from calstream_core.logs import configure_logs
from calstream_ops.chaos.course import run
from calstream_ops.chaos.evidence import Evidence, judge
from calstream_ops.chaos.moments import minima_of, schedule
from calstream_ops.chaos.report import Report
from calstream_ops.chaos.trial import Trial


def run_engine_chaos(events: int, seed: int, *, keep: bool = False) -> Report:
    """Lets at least so many records flow through workers that are killed, and compares.

    Blocks for minutes. Progress goes to standard error. Nothing is left when it is interrupted.

    Args:
        events: how many records.
        seed: of the records, the moments and the injected failures.
        keep: leave the logs and data, as is done where something is wrong; their place is told.

    Raises:
        ConfigError: there is no Java, or no jars.
        UnavailableError: the broker does not start.
    """
    configure_logs("chaos", "error")
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="calstream-chaos-"))
    is_wanted = True
    try:
        report = _run(folder, events, seed, began)
        is_wanted = keep or not report.ok
    except KeyboardInterrupt:
        is_wanted = False
        raise
    finally:
        if is_wanted:
            sys.stderr.write(f"logs and data are left in {folder}\n")
        else:
            shutil.rmtree(folder)
    return report


def _run(folder: Path, events: int, seed: int, began: float) -> Report:
    with Trial(folder, seed) as trial:
        try:
            run(trial, schedule(events, seed))
        except CalstreamError as error:
            # the comparison says what it did to the records
            trial.findings.append(str(error))
            trial.abandon()
        sys.stderr.write("comparing with the reference\n")
        evidence = Evidence(
            trial.address, trial.source.written, trial.fleet.directories, folder / "restored"
        )
        return Report(
            seed=seed,
            events=len(trial.source.written),
            seconds=time.monotonic() - began,
            done={**trial.counts, "kills": trial.fleet.kills},
            injected=trial.fleet.injected,
            exits=trial.fleet.exits,
            minima=minima_of(events),
            verdict=judge(evidence),
            findings=[*trial.findings, *trial.fleet.findings],
        )
