"""Free ports on the loopback address, the same ones again where that is possible."""

import json
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"

# below every system's range for outgoing connections, so that none takes a port between our look
# and the broker's start
_RANGE = range(20_000, 30_000)


def remembered_ports(path: Path, names: tuple[str, ...]) -> dict[str, int]:
    """A free port for each name; one that the file names is kept if it is still free.

    The file is written anew. A port is free when this returns; nothing reserves it.
    """
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    ports: dict[str, int] = {}
    for name in names:
        port = known.get(name)
        if port is None or port in ports.values() or not is_free(port):
            port = _free_port(set(ports.values()))
        ports[name] = port
    path.write_text(json.dumps(ports), "utf-8")
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # as servers do: connections that were closed a moment ago don't count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _free_port(taken: set[int]) -> int:
    candidates = random.sample(_RANGE, len(_RANGE))
    return next(port for port in candidates if port not in taken and is_free(port))
