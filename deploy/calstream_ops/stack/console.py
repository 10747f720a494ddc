"""What a person sees of the stack: progress, and the processes' output under aligned prefixes."""

import os
import sys
import threading
from typing import TextIO

_COLOURS = (36, 33, 35, 32, 34, 31)
_OWN_NAME = "calstream"


class Console:
    """Writes whole lines to standard error, from any thread.

    Args:
        stream: where to; by default standard error.
        colour: whether prefixes are coloured; by default where the stream is a terminal and the
            variable NO_COLOR is not set.
    """

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None) -> None:
        self._stream: TextIO | None = stream or sys.stderr
        if colour is None:
            colour = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._colour = colour
        self._lock = threading.Lock()
        self._names: list[str] = []
        self._width = len(_OWN_NAME)

    def announce(self, names: list[str]) -> None:
        """Fixes the order of colours and the width of the prefix."""
        self._names = names
        self._width = max(len(name) for name in [_OWN_NAME, *names])

    def progress(self, text: str) -> None:
        """Says what we do ourselves."""
        self._write(f"{_OWN_NAME:<{self._width}} │ ", "1", text)

    def line(self, name: str, text: str) -> None:
        """Repeats one line of a process's output."""
        position = self._names.index(name) if name in self._names else 0
        colour = _COLOURS[position % len(_COLOURS)]
        self._write(f"{name:<{self._width}} │ ", str(colour), text)

    def _write(self, prefix: str, colour: str, text: str) -> None:
        shown = f"\x1b[{colour}m{prefix}\x1b[0m" if self._colour else prefix
        with self._lock:
            if self._stream is None:
                return
            try:
                self._stream.write(f"{shown}{text}\n")
                self._stream.flush()
            except OSError:
                # the terminal is gone; nobody reads on, and the stack must still be stopped
                self._stream = None
