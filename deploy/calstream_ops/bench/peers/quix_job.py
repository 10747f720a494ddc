"""The job on Quix Streams: one worker, run by the peers' own Python as `quix_job.py JSON`.

Needs nothing of ours. Ends at SIGTERM.
"""

import json
import sys

import orjson
from quixstreams import Application, State

_STATE = "newest"


def keep_newest(value: bytes, state: State) -> bool:
    """Whether a record is newer than the key's state, which it then becomes."""
    modified = orjson.loads(value)["last_modified"]
    known = state.get_bytes(_STATE)
    if known is None or orjson.loads(known)["last_modified"] < modified:
        state.set_bytes(_STATE, value)
        return True
    return False


def main(text: str) -> None:
    """Runs the worker that a JSON object describes."""
    settings = json.loads(text)
    app = Application(
        broker_address=settings["bootstrap_servers"],
        consumer_group=settings["app"],
        state_dir=settings["state_directory"],
        auto_create_topics=True,  # of changelogs too, which have names of its own
        loglevel="WARNING",
        **settings["application"],
    )
    source = app.topic(settings["source"], key_deserializer="bytes", value_deserializer="bytes")
    output = app.topic(settings["output"], key_serializer="bytes", value_serializer="bytes")
    frame = app.dataframe(source)
    frame = frame.filter(keep_newest, stateful=True)
    frame.to_topic(output)
    app.run()


if __name__ == "__main__":
    main(sys.argv[1])
