"""The job that every engine does: the newest record of each key, kept and handed on.

Parse the record, compare its time of change with that of the key's state, write the state, forward.
"""

from collections.abc import Callable
from typing import Any

import orjson

from calstream_engine import Batch, Work

Job = Callable[[Batch, Work], None]


def keep_newest(table: Any, output: str) -> Job:
    """The whole job, with state: for transactional mode.

    Args:
        table: the state: the newest record of each key, as it came.
        output: the topic to forward to.
    """

    def handle(batch: Batch, work: Work) -> None:
        state = work[table]
        for record in batch:
            key, value = record.key(), record.value()
            assert key is not None
            assert value is not None
            modified = orjson.loads(value)["last_modified"]
            known = state.get(key)
            if known is None or orjson.loads(known)["last_modified"] < modified:
                state.put(key, value)
                work.send(output, key, value)

    return handle


def forward(output: str) -> Job:
    """The part of the job that needs no state: for plain mode.

    Args:
        output: the topic to forward to.
    """

    def handle(batch: Batch, work: Work) -> None:
        for record in batch:
            value = record.value()
            assert value is not None
            if orjson.loads(value)["last_modified"]:
                work.send(output, record.key(), value)

    return handle
