"""Where a process spends its processor time, by samples: the code that is looked at knows nothing.

A timer of the system interrupts the main thread whenever so much processor time was used. A thread
that looks from beside would see what lets go of the interpreter's lock more often than the rest.
"""

import signal
from collections import Counter
from collections.abc import Mapping
from types import FrameType

_SECONDS_BETWEEN = 0.002

Steps = Mapping[tuple[str, str], str]
"""The step that a function stands for, by the last part of its module's name and its own name."""


class Sampler:
    """Looks at what the main thread is doing. Make it in the main thread.

    Args:
        steps: the innermost function of a stack that is in it names the step.
        rest: the step of a stack in which none is.
    """

    def __init__(self, steps: Steps, rest: str) -> None:
        self._steps = {(name, module): step for (module, name), step in steps.items()}
        self._names = frozenset(name for name, _ in self._steps)
        self._rest = rest
        self._found: Counter[str] = Counter()
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _SECONDS_BETWEEN, _SECONDS_BETWEEN)

    def counts(self) -> dict[str, int]:
        """How many samples fell on each step so far."""
        return dict(self._found)

    def _look(self, _number: int, frame: FrameType | None) -> None:
        self._found[self._step(frame)] += 1

    def _step(self, frame: FrameType | None) -> str:
        while frame is not None:
            name = frame.f_code.co_name
            if name in self._names:
                module = str(frame.f_globals.get("__name__", "")).rpartition(".")[2]
                step = self._steps.get((name, module))
                if step is not None:
                    return step
            frame = frame.f_back
        return self._rest
