"""`/healthz`, `/livez`, `/metrics` and the actions of a process, served by a thread of its own.

`/healthz` tells whether the process can do its work now; whoever needs it waits. `/livez` tells
whether it ever will again; whoever watches it starts it anew.

A thread, so that a busy event loop still answers, and so that every kind of process has the same.
Listen on loopback or on a network of your own: whoever reaches it may act.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from calstream_core.errors import CalstreamError, Code, ConfigError

Check = Callable[[], str | None]
"""Tells what is wrong, or None."""

Action = Callable[[dict[str, Any]], dict[str, Any]]
"""Does what a POST with a JSON object asks for, and answers with one. May raise CalstreamError."""

_MAX_REQUEST_BYTES = 64 * 1024
_GUARD = "X-Calstream-Action"  # a page in a browser can't send it without asking first


class HealthServer:
    """Serves health and metrics until it is closed.

    Args:
        listen: HOST:PORT; port 0 takes a free one.
        checks: by name; the process is healthy when none of them says what is wrong. They are
            called from the server's threads.
        liveness: by name; the process is alive when none of them says what is wrong.
        actions: by path; called from the server's threads.

    Raises:
        ConfigError: the address can't be listened at.
    """

    def __init__(
        self,
        listen: str,
        checks: Mapping[str, Check],
        actions: Mapping[str, Action] = MappingProxyType({}),
        *,
        liveness: Mapping[str, Check] = MappingProxyType({}),
    ) -> None:
        host, _, port = listen.rpartition(":")
        try:
            self._server = ThreadingHTTPServer(
                (host.strip("[]"), int(port)),
                _handler({"/healthz": checks, "/livez": liveness}, actions),
            )
        except (OSError, OverflowError, ValueError) as error:
            raise ConfigError(
                Code.CONFIG_INVALID,
                f"Health can't be served at {listen}: {error}.",
                hint="Does another process listen there? Otherwise give another --health-listen.",
            ) from error
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


def _handler(
    checks: Mapping[str, Mapping[str, Check]], actions: Mapping[str, Action]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            elif path in checks:
                faults = _faults(checks[path].items())
                body = json.dumps({"status": "failing" if faults else "ok", "faults": faults})
                self._answer(503 if faults else 200, "application/json", body.encode())
            else:
                self._answer(404, "text/plain", b"not found\n")

        def do_POST(self) -> None:
            action = actions.get(urlsplit(self.path).path)
            length = int(self.headers.get("Content-Length") or 0)
            if action is None:
                self._answer(404, "text/plain", b"not found\n")
            elif not self.headers.get(_GUARD) or not 0 < length <= _MAX_REQUEST_BYTES:
                self._answer(400, "text/plain", f"needs {_GUARD} and a body\n".encode())
            else:
                status, answer = _act(action, self.rfile.read(length))
                self._answer(status, "application/json", json.dumps(answer).encode())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Says nothing: a scrape every few seconds is no news."""

    return Handler


def _act(action: Action, body: bytes) -> tuple[int, dict[str, Any]]:
    try:
        request = json.loads(body)
        if not isinstance(request, dict):
            return 400, {"error": {"code": Code.BODY_INVALID, "message": "not a JSON object"}}
        return 200, action(request)
    except json.JSONDecodeError as error:
        return 400, {"error": {"code": Code.JSON_INVALID, "message": str(error)}}
    except CalstreamError as error:
        return 409, {"error": {"code": error.code, "message": error.message, "hint": error.hint}}


def _faults(checks: Iterable[tuple[str, Check]]) -> dict[str, str]:
    return {name: fault for name, check in checks if (fault := check()) is not None}
