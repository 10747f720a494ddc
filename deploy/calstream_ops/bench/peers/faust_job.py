"""The job on stock Faust: one worker, run by the peers' own Python as `faust_job.py JSON`.

Needs nothing of ours. Says on standard output when its table is restored, and how far it is until
then. Ends at SIGTERM.
"""

import json
import os
import sys
import threading
import time
from typing import Any

import faust
import orjson
import uvloop
from faust.worker import Worker

_LOOK_SECONDS = 0.1


class App(faust.App):
    """Stock Faust, with a thread beside it that looks at its recovery."""

    async def on_start(self) -> None:
        """Starts the thread. Here, because Faust makes the recovery when it is first asked for."""
        await super().on_start()
        tables: Any = self.tables
        threading.Thread(target=_tell_progress, args=(tables.recovery,), daemon=True).start()


def make_app(settings: dict[str, Any]) -> faust.App:
    """The app with its one agent and its table."""
    app = App(
        settings["app"],
        broker=f"kafka://{settings['bootstrap_servers']}",
        datadir=settings["state_directory"],
        autodiscover=False,
        web_enabled=False,
        key_serializer="raw",
        value_serializer="raw",
        **settings["application"],
    )
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
    source = app.topic(settings["source"], **raw)
    output = app.topic(settings["output"], **raw)
    changelog = app.topic(settings["changelog"], **raw)
    table = app.Table("newest", partitions=settings["partitions"], changelog_topic=changelog, **raw)

    @app.agent(source)
    async def keep_newest(stream: Any) -> None:
        async for key, value in stream.items():
            modified = orjson.loads(value)["last_modified"]
            known = table.get(key)
            if known is None or orjson.loads(known)["last_modified"] < modified:
                table[key] = value
                _confirmed_later = await output.send(key=key, value=value)

    return app


def _tell_progress(recovery: Any) -> None:
    """Looks at the recovery from a thread, which does not wait for it as a task of the app does."""
    started = time.perf_counter()
    while not recovery.completed.is_set():
        time.sleep(_LOOK_SECONDS)
        seconds = time.perf_counter() - started
        remaining = _remaining(recovery)
        if remaining:
            _tell("progress", seconds=seconds, remaining=remaining)
    _tell("ready", seconds=time.perf_counter() - started)


def _remaining(recovery: Any) -> int:
    """How many changelog records are still to be read; 0 until that is known."""
    read = dict(recovery.active_offsets)
    ends = dict(recovery.active_highwaters)
    return sum(max(0, end - max(0, read.get(place) or 0)) for place, end in ends.items())


def _tell(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def main(text: str) -> None:
    """Runs the worker that a JSON object describes."""
    settings = json.loads(text)
    uvloop.install()
    os.chdir(settings["state_directory"])
    app = make_app(settings)
    app.finalize()
    Worker(app, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1])
