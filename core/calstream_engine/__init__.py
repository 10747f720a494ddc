"""The engine: Faust apps on a transport that loses nothing, in batches.

    app = create_app(EngineSettings("totals", "127.0.0.1:9092", Mode.TRANSACTIONAL, ...))
    totals = state_table(app, "totals", topic="totals.state")

    @batch_agent(app, "orders")
    def add(batch: Batch, work: Work) -> None:
        for record in batch:
            ...

`docs/engine.md` tells what it promises and how it is built.
"""

from calstream_engine.app import (
    batch_agent,
    create_app,
    positions,
    replay,
    state_table,
    state_writer,
    truth_table,
    view,
)
from calstream_engine.configuration import EngineSettings, Mode
from calstream_engine.failures import DeadLetterLimit
from calstream_engine.group import AppGroup
from calstream_engine.records import Batch, Record
from calstream_engine.schedule import Schedule
from calstream_engine.slots import Slot, worker_slot
from calstream_engine.stage import Handler
from calstream_engine.state_writer import StateWriter
from calstream_engine.transport.transport import FAUST_SETTINGS
from calstream_engine.view import Viewer
from calstream_engine.work import Work
from calstream_engine.writer import FencedError

__all__ = [
    "FAUST_SETTINGS",
    "AppGroup",
    "Batch",
    "DeadLetterLimit",
    "EngineSettings",
    "FencedError",
    "Handler",
    "Mode",
    "Record",
    "Schedule",
    "Slot",
    "StateWriter",
    "Viewer",
    "Work",
    "batch_agent",
    "create_app",
    "positions",
    "replay",
    "state_table",
    "state_writer",
    "truth_table",
    "view",
    "worker_slot",
]
