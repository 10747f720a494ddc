"""`python -m calstream_ops.chaos.worker`: a worker of the trial, with both stages."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import faust
import uvloop

from calstream_core.errors import CalstreamError, InvariantError, RecordError
from calstream_core.logs import configure_logs
from calstream_core.process import stop_signals
from calstream_engine import (
    AppGroup,
    Batch,
    EngineSettings,
    Mode,
    Work,
    batch_agent,
    create_app,
    state_table,
    truth_table,
)
from calstream_ops.chaos import failures
from calstream_ops.chaos.job import ID_HEADER, REJECTED_MARK, REMOVED, folded, place_id, record_id
from calstream_ops.chaos.layout import (
    PLAIN_APP,
    SESSION_SECONDS,
    TOPICS,
    TOTALS,
    TRANSACTIONAL_APP,
    VERSIONS,
)
from calstream_ops.chaos.worker_events import ASSIGNED, ENDED, REVOKED, say

_RELEASE_SECONDS = 2.0
_COMMIT_SECONDS = 0.2
_STALL_SECONDS = 60.0
_BATCH_RECORDS = 50


def total(batch: Batch, work: Work) -> None:
    """The transactional stage."""
    totals, versions = work[TOTALS], work[VERSIONS]
    for record in batch:
        key, value = record.key(), record.value()
        assert key is not None
        try:
            number = record_id(value)
        except RecordError as error:
            if value is None or not value.startswith(REJECTED_MARK):
                raise
            work.reject(record, error)
            continue
        state = folded(totals.get(key), number)
        headers = [(ID_HEADER, place_id(record))]
        totals.put(key, state)
        versions.put(key, state, headers)
        work.send(TOPICS.outputs, key, REMOVED if state is None else state, headers=headers)


def forward(batch: Batch, work: Work) -> None:
    """The plain stage."""
    for record in batch:
        headers = [(ID_HEADER, place_id(record))]
        work.send(TOPICS.forwarded, record.key(), record.value(), headers=headers)


def make_apps(arguments: argparse.Namespace) -> Sequence[faust.App]:
    """Both apps; must be called in the loop that runs them."""
    options: dict[str, Any] = {
        "bootstrap_servers": arguments.bootstrap_servers,
        "instance_id": arguments.instance_id or None,
        "session_timeout_seconds": SESSION_SECONDS,
        "release_seconds": _RELEASE_SECONDS,
        "commit_interval_seconds": _COMMIT_SECONDS,
        "stall_seconds": _STALL_SECONDS,
        "max_batch_records": _BATCH_RECORDS,
    }
    totals = create_app(
        EngineSettings(
            TRANSACTIONAL_APP,
            mode=Mode.TRANSACTIONAL,
            dead_topic=TOPICS.dead,
            state_directory=arguments.directory,
            position_table=TOTALS,
            **options,
        )
    )
    state_table(totals, TOTALS, TOPICS.totals)
    truth_table(totals, VERSIONS, TOPICS.versions)
    batch_agent(totals, TOPICS.source)(total)
    forwards = create_app(EngineSettings(PLAIN_APP, mode=Mode.PLAIN, **options))
    batch_agent(forwards, TOPICS.source)(forward)
    for app in (totals, forwards):
        engine: Any = app.transport.engine  # type: ignore[attr-defined]  # ours has it
        engine.assigned.append(partial(_tell, ASSIGNED, str(app.conf.id)))
        engine.revoked.append(partial(_tell, REVOKED, str(app.conf.id)))
    return totals, forwards


async def _tell(event: str, app: str, partition: int) -> None:
    say(event, app=app, partition=partition)


async def serve(arguments: argparse.Namespace) -> None:
    """Runs the stages until SIGTERM.

    Raises:
        CalstreamError: a stage can't go on.
    """
    group = AppGroup(make_apps(arguments))
    with stop_signals() as stop:
        await group.run(stop)


def main(words: Sequence[str]) -> int:
    """Runs a worker; blocks.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="chaos-worker")
    parser.add_argument("--name", required=True)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--directory", required=True, type=Path)
    parser.add_argument("--instance-id", default="", help="makes it a static member")
    parser.add_argument("--failures", default="", help="the seed of its injected failures")
    arguments = parser.parse_args(words)
    configure_logs(arguments.name)
    if arguments.failures:
        failures.install(arguments.failures)
    try:
        uvloop.run(serve(arguments))
    except CalstreamError as error:
        say(ENDED, reason=error.code, ours=isinstance(error, InvariantError))
        sys.stderr.write(f"{error}\n")
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - the harness is told of every end
        say(ENDED, reason=type(error).__name__, ours=True)
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
