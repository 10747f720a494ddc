"""How many records a second an engine does on a topic that is full."""

from calstream_ops.bench.engines import Engine
from calstream_ops.bench.ground import Ground
from calstream_ops.bench.output import Window
from calstream_ops.bench.process import WorkerProcess


def measure_throughput(
    ground: Ground, engine: Engine, source: str, *, records: int, box_seconds: float
) -> Window:
    """Runs one worker over a topic, from its beginning.

    Args:
        ground: where.
        engine: what.
        source: the topic, filled.
        records: how many it holds.
        box_seconds: how long the worker may go on after its first output.

    Returns:
        The steady stretch: from the engine's warm-up to the last output.

    Raises:
        UnavailableError: the worker failed, or nothing came out.
    """
    with ground.run(engine.name, source) as run:
        output = ground.output(run)
        with WorkerProcess(engine.name, engine.command(run)) as worker:
            output.watch(records, box_seconds, worker)
        return output.window(engine.warm_up_seconds)
