"""How long a worker takes until a million keys are restored, and how much memory it then needs."""

from dataclasses import dataclass
from typing import Any

from calstream_core.errors import Code, UnavailableError
from calstream_ops.bench.engines import Calstream, Faust
from calstream_ops.bench.ground import Ground
from calstream_ops.bench.process import WorkerProcess

_START_SECONDS = 30.0
_RESTORE_SECONDS = 120.0
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Restored:
    """A worker of ours with its state restored and some traffic done.

    Attributes:
        seconds: from the app's start to all partitions ready.
        records_per_second: of the traffic after it.
        memory_mb: the most that was resident, from start to end.
    """

    seconds: float
    records_per_second: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class FaustRestored:
    """Stock Faust's restore.

    Attributes:
        seconds: from the app's start to the end of its recovery, or an estimate of that.
        details: how it was come by.
    """

    seconds: float
    details: dict[str, Any]


def measure_restore(
    ground: Ground, changelog: str, source: str, *, records: int, box_seconds: float
) -> Restored:
    """Starts a worker of ours on an empty disk, lets it restore, then gives it traffic.

    Args:
        ground: where.
        changelog: the state, filled.
        source: the traffic, filled: the worker begins with it as soon as it is restored.
        records: how many the source holds.
        box_seconds: how long the traffic goes on.

    Raises:
        UnavailableError: the worker failed, or was not restored in two minutes.
    """
    engine = Calstream("transactional", name="calstream-1m")
    with ground.run(engine.name, source, changelog) as run:
        output = ground.output(run)
        with WorkerProcess(engine.name, engine.command(run)) as worker:
            ready = worker.wait_for("ready", _RESTORE_SECONDS)
            output.watch(records, box_seconds, worker)
            worker.stop()
            stopped = worker.wait_for("stopped", _START_SECONDS)
        window = output.window(engine.warm_up_seconds)
    return Restored(ready["seconds"], window.per_second, stopped["max_resident_bytes"] / _MEGABYTE)


def measure_faust_restore(
    ground: Ground, engine: Faust, changelog: str, source: str, *, limit_seconds: float
) -> FaustRestored:
    """The same restore by stock Faust; stopped after a while, then what is left is estimated.

    Raises:
        UnavailableError: the worker failed, or got nowhere.
    """
    with (
        ground.run(engine.name, source, changelog) as run,
        WorkerProcess(engine.name, engine.command(run)) as worker,
    ):
        worker.wait_for("progress", _START_SECONDS)
        try:
            ready = worker.wait_for("ready", limit_seconds)
        except UnavailableError:
            worker.check()
        else:
            return FaustRestored(ready["seconds"], {"extrapolated": False})
        first, last = worker.first("progress"), worker.last("progress")
    assert first is not None
    assert last is not None
    return extrapolated(first, last)


def extrapolated(first: dict[str, Any], last: dict[str, Any]) -> FaustRestored:
    """How long it would have taken at the rate between two reports of progress.

    Raises:
        UnavailableError: there was none.
    """
    done = first["remaining"] - last["remaining"]
    if done <= 0:
        raise UnavailableError(Code.PROCESS_FAILED, "Stock Faust's restore got nowhere.")
    per_second = done / (last["seconds"] - first["seconds"])
    details = {
        "extrapolated": True,
        "measured_records": done,
        "measured_seconds": round(last["seconds"] - first["seconds"], 1),
        "records_per_second": round(per_second),
    }
    return FaustRestored(last["seconds"] + last["remaining"] / per_second, details)
