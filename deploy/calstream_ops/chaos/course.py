"""The course of a trial: workers start, records flow, faults come, everything flows through."""

from collections.abc import Sequence
from functools import partial

from calstream_core.errors import CalstreamError
from calstream_ops.chaos.faults import Faults
from calstream_ops.chaos.layout import PLAIN_APP, TRANSACTIONAL_APP
from calstream_ops.chaos.moments import WORKERS, Moment
from calstream_ops.chaos.topic_log import Progress
from calstream_ops.chaos.trial import Trial


def run(trial: Trial, moments: Sequence[Moment]) -> None:
    """Lets the records flow and does what each moment says; returns when no worker is left.

    Raises:
        UnavailableError: something that must come does not come: the broker does not start again,
            a partition is not taken over, the source can't be written.
    """
    faults = Faults(trial)
    for _ in range(WORKERS):
        trial.fleet.add()
    for number, moment in enumerate(moments, 1):
        _flow_to(trial, moment)
        not_done = trial.not_done()
        trial.say(
            f"{number} of {len(moments)}: {moment.fault}, record {moment.fires_at}"
            + ("" if not_done is None else f", {not_done} not done")
        )
        faults.do(moment)
    end = moments[-1].ends_at
    trial.until(lambda: len(trial.source.written) >= end, "the source does not flow to its end")
    trial.say("waiting until everything has flowed through")
    trial.source.finish()
    ends = trial.ends()
    _flow_through(trial, TRANSACTIONAL_APP, trial.totals, ends)
    _flow_through(trial, PLAIN_APP, trial.forwards, ends)
    trial.fleet.leave_all()
    trial.until(lambda: not trial.fleet.workers, "not every worker ends")


def _flow_to(trial: Trial, moment: Moment) -> None:
    """Waits until it is time for the fault."""
    if moment.calm:
        trial.until(
            lambda: all(trial.fleet.owners().values()), "not every partition has been restored"
        )
    trial.source.allow(moment.ends_at, moment.records_per_second)
    trial.until(lambda: len(trial.source.written) >= moment.fires_at, "the source does not flow")


def _flow_through(trial: Trial, app: str, progress: Progress, ends: Sequence[int]) -> None:
    """Waits until a group is at the end of the source; a standstill is a finding."""
    before: Sequence[int] = []
    while before != ends:
        try:
            trial.until(partial(_has_moved, progress, before), f"{app} stands still")
        except CalstreamError as error:
            trial.findings.append(f"{error.message} It is at {before} of {ends}.")
            return
        before = progress.committed() or before


def _has_moved(progress: Progress, before: Sequence[int]) -> bool:
    committed = progress.committed()
    return committed is not None and committed != before
