"""`/healthz` and `/metrics` of a process, served by a thread of its own.

A thread, so that a busy event loop still answers, and so that every kind of process has the same.
"""

import json
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

Check = Callable[[], str | None]
"""Tells what is wrong, or None."""


class HealthServer:
    """Serves health and metrics until it is closed.

    Args:
        listen: HOST:PORT; port 0 takes a free one.
        checks: by name; the process is healthy when none of them says what is wrong. They are
            called from the server's threads.
    """

    def __init__(self, listen: str, checks: dict[str, Check]) -> None:
        host, _, port = listen.rpartition(":")
        self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), _handler(checks))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stops listening; waits for the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(checks: dict[str, Check]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            elif path == "/healthz":
                faults = _faults(checks.items())
                body = json.dumps({"status": "failing" if faults else "ok", "faults": faults})
                self._answer(503 if faults else 200, "application/json", body.encode())
            else:
                self._answer(404, "text/plain", b"not found\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Says nothing: a scrape every few seconds is no news."""

    return Handler


def _faults(checks: Iterable[tuple[str, Check]]) -> dict[str, str]:
    return {name: fault for name, check in checks if (fault := check()) is not None}
