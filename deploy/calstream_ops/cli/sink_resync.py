"""A resync seen from the command line: its plan, its progress and what came of it."""

import time
from collections.abc import Mapping

from calstream_core.errors import Code, RecordError, UnavailableError
from calstream_ops.cli.session import Session
from calstream_ops.cli.sinks_process import SinksProcess, SinkStatus
from calstream_ops.cli.terminal import table
from calstream_ops.inspection.entity_log import EntityLog
from calstream_ops.inspection.keys import existing_keys
from calstream_ops.inspection.log_reader import LogReader
from calstream_sinks.registry import sink_type
from calstream_sinks.runner.resync import ResyncMode

_ASK_EVERY_SECONDS = 0.25
_LINE_EVERY_SECONDS = 10

WHAT_IT_DOES: Mapping[ResyncMode, str] = {
    ResyncMode.TRUST_LEDGER: (
        "Compares each entity with what our ledger says the vendor holds, and writes what differs. "
        "Asks the vendor nothing."
    ),
    ResyncMode.VERIFY: (
        "Asks the vendor for every object we made there. What is gone is made again, what differs "
        "is mended, what is the same is left alone."
    ),
    ResyncMode.REWRITE: (
        "Writes every object again, whatever the vendor holds. Overwrites what somebody changed "
        "there, as far as the rules give it to us."
    ),
}
"""What each mode does, for the plan."""


def plan(session: Session, sink_id: str, mode: ResyncMode) -> None:
    """Shows what a resync would look at; starts nothing.

    Raises:
        UnavailableError: the broker does not answer.
    """
    settings = session.sink(sink_id)
    kinds = sink_type(settings, sink_id).manifest.kinds
    keys = existing_keys(session.settings)
    with LogReader(session.bootstrap_servers) as reader:
        log = EntityLog(reader, session.settings.kafka, keys)
        counts = log.count_by_kind(
            lambda name: not settings.workspaces or name in settings.workspaces
        )
    found = {kind: counts[kind] for kind in kinds}
    session.terminal.answer(
        {"sink": sink_id, "mode": mode.value, "does": WHAT_IT_DOES[mode], "entities": found},
        f"{mode}: {WHAT_IT_DOES[mode]}",
        table(("kind", "entities"), found.items()),
    )
    session.terminal.say(
        f"Nothing was done. `calstream sink resync {sink_id} --{mode} --yes` does it."
    )


def run(
    session: Session,
    process: SinksProcess,
    sink_id: str,
    mode: ResyncMode,
    *,
    timeout_seconds: float | None,
) -> None:
    """Starts a resync, and stays until nothing is pending unless there is no time-out.

    Raises:
        RecordError: entities were given up since it began.
        UnavailableError: the process does not answer, or the time is over.
    """
    dead_before = _status(process, sink_id).dead
    began = time.monotonic()
    process.resync(sink_id, mode)
    if timeout_seconds is None:
        session.terminal.answer({"sink": sink_id, "mode": mode.value, "started": True}, "started")
        session.terminal.say("`calstream sink list` shows how far it is.")
        return
    try:
        status = _wait(session, process, sink_id, began + timeout_seconds)
    except KeyboardInterrupt:
        session.terminal.say("It goes on without us; `calstream sink list` shows how far it is.")
        raise
    seconds = time.monotonic() - began
    _summarise(session, sink_id, status, seconds)
    given_up = status.dead - dead_before
    if given_up > 0:
        raise RecordError(
            Code.VENDOR_REFUSED,
            f"{given_up} entities were given up during the resync.",
            hint=f"`calstream topic tail sink.{sink_id}.dead --decode` shows why.",
        )


def _wait(session: Session, process: SinksProcess, sink_id: str, give_up_at: float) -> SinkStatus:
    told_at = time.monotonic()
    with session.terminal.progress() as progress:
        task = progress.add_task("reading", total=None)
        while True:
            status = _status(process, sink_id)
            if not status.is_busy:
                return status
            line = _how_far(status)
            progress.update(task, description=line)
            now = time.monotonic()
            if now > give_up_at:
                raise UnavailableError(
                    Code.SINK_UNAVAILABLE,
                    f"The resync of {sink_id} is not through: {line}.",
                    hint="It goes on; `calstream sink list` shows how far it is.",
                )
            if progress.disable and now - told_at > _LINE_EVERY_SECONDS:
                told_at = now
                session.terminal.say(line)
            time.sleep(_ASK_EVERY_SECONDS)  # the process only tells on asking


def _status(process: SinksProcess, sink_id: str) -> SinkStatus:
    found = process.show().get(sink_id)
    if found is None:
        raise UnavailableError(
            Code.STACK_NOT_RUNNING,
            f"The running sinks process does not know the sink {sink_id}.",
            hint="It reads the settings at its start: `calstream down && calstream up --detach`.",
        )
    return found


def _how_far(status: SinkStatus) -> str:
    resync = status.resync or {}
    if resync.get("running") and not resync.get("total"):
        return f"{resync.get('replayed', 0)} records read"
    done = f"{resync.get('checked', 0)} of {resync.get('total', 0)} checked"
    return f"{done}, {status.unsettled} to write"


def _summarise(session: Session, sink_id: str, status: SinkStatus, seconds: float) -> None:
    resync = status.resync or {}
    counts = {
        name: int(resync.get(name, 0)) for name in ("checked", "same", "different", "missing")
    }
    counts |= {"dead": status.dead}
    session.terminal.answer(
        {"sink": sink_id, "mode": str(resync.get("mode", "")), "seconds": round(seconds, 3)}
        | counts,
        table(("entities", "count"), counts.items()),
    )
    session.terminal.say(f"Nothing is pending after {seconds:.1f} s.")
