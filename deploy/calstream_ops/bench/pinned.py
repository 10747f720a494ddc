"""The processors as a user runs them, on one core: `python -m calstream_ops.bench.pinned CORE ...`.

With `any` in place of the core it runs anywhere.

Says on standard output, one JSON object a line, every quarter of a second how much processor time
it has used and where its main thread was.
"""

import os
import sys
import threading
import time

from calstream_core.process import run_process
from calstream_ops.bench.sampling import Sampler
from calstream_ops.bench.steps import REST, STEPS
from calstream_ops.bench.worker import max_resident_bytes, tell
from calstream_processors.__main__ import serve

_TELL_SECONDS = 0.25


def pin(core: int) -> None:
    """Keeps this process, and each thread that it will start, on one core, where that can be."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {core})


def tell_progress(sampler: Sampler) -> None:
    """Starts to tell, in a thread of its own."""
    clock = time.pthread_getcpuclockid(threading.get_ident())

    def run() -> None:
        while True:
            tell(
                "progress",
                cpu_seconds=time.process_time(),
                main_cpu_seconds=time.clock_gettime(clock),
                samples=sampler.counts(),
                max_resident_bytes=max_resident_bytes(),
            )
            time.sleep(_TELL_SECONDS)

    threading.Thread(target=run, daemon=True).start()


def main() -> int:
    """Runs the processors until SIGTERM."""
    core = sys.argv.pop(1)
    if core.isdecimal():
        pin(int(core))
    tell_progress(Sampler(STEPS, REST))
    return run_process("processors", serve)


if __name__ == "__main__":
    sys.exit(main())
