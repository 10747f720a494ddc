"""Starts a command that can't outlive the process that wanted it.

    python -I -S guard.py LIFELINE COMMAND [ARGUMENT...]

LIFELINE is the reading end of a pipe whose writing end the guardian alone holds. The kernel closes
that end however the guardian dies, SIGKILL included, on Linux as on macOS. A watcher in the
command's process group waits for this and kills the group. The command takes over the process that
was started, so the guardian sees its pid and exit status as if there were no guard.

Must be started as the leader of a process group. Standard library only; run by its path.
"""

import contextlib
import os
import signal
import sys
from typing import NoReturn

COMMAND_NOT_FOUND = 127


def main(lifeline: int, command: list[str]) -> NoReturn:
    """Leaves a watcher behind and becomes the command."""
    if os.getpgrp() != os.getpid():
        sys.exit("guard: not the leader of a process group; the watcher would kill strangers")
    if os.fork() == 0:
        # by a child that leaves at once: the command must not get a child it does not know of
        if os.fork() == 0:
            _watch(lifeline)
        os._exit(0)
    os.wait()
    os.close(lifeline)
    # Python ignores it from its start on, and a command would inherit that
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a command line, given by our own supervisor
    except OSError as error:
        sys.stderr.write(f"{command[0]} can't be started: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(COMMAND_NOT_FOUND)


def _watch(lifeline: int) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # whatever else is open belongs to the command: its output must end, its locks open, with it
    with os.scandir("/dev/fd") as entries:
        inherited = {int(entry.name) for entry in entries} - {lifeline}
    for descriptor in inherited:
        with contextlib.suppress(OSError):  # the listing's own is closed already
            os.close(descriptor)
    while os.read(lifeline, 1):
        pass  # the guardian writes nothing; only the end counts
    os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
