"""The sandbox as a process, and the vendors' specifications as judges."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

START_SECONDS = 30


@pytest.fixture(scope="session")
def vendor_specs() -> Path:
    """The folder with the vendors' specifications."""
    folder = os.environ.get("CALSTREAM_VENDOR_SPECS")
    if not folder:
        pytest.skip("CALSTREAM_VENDOR_SPECS names no folder with the vendors' specifications")
    return Path(folder)


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    """The base URL of a sandbox that runs for the whole session, with all vendors."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        listen, mail = (f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second))
    command = [sys.executable, "-m", "calstream_sandbox", "--listen", listen]
    command += ["--smtp-listen", mail]
    url = f"http://{listen}"
    with subprocess.Popen([*command, "--retry-scale", "0.002"]) as process:
        try:
            _wait_until_healthy(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


@pytest.fixture
def hubspot_url(sandbox_url: str) -> str:
    """HubSpot's base URL: a new account without rate limits, whose search sees writes at once."""
    control = f"{sandbox_url}/hubspot/_control"
    settings = {
        "search_lag_seconds": 0,
        "requests_per_10_seconds": 1_000_000,
        "searches_per_second": 1_000_000,
    }
    httpx.post(f"{control}/reset").raise_for_status()
    httpx.post(f"{control}/settings", json=settings).raise_for_status()
    return f"{sandbox_url}/hubspot"


@pytest.fixture
def stripe_url(sandbox_url: str) -> str:
    """Stripe's base URL: a new account without endpoints or rate limits."""
    control = f"{sandbox_url}/stripe/_control"
    settings = {"requests_per_second": 1_000_000, "endpoint_requests_per_second": 1_000_000}
    httpx.post(f"{control}/reset").raise_for_status()
    httpx.post(f"{control}/settings", json=settings).raise_for_status()
    return f"{sandbox_url}/stripe"


@pytest.fixture
def zoom_url(sandbox_url: str) -> str:
    """Zoom's base URL: a new account without an endpoint or limits by the second."""
    control = f"{sandbox_url}/zoom/_control"
    settings = {f"{name}_per_second": 1_000_000 for name in ("light", "medium", "heavy")}
    httpx.post(f"{control}/reset").raise_for_status()
    httpx.post(f"{control}/settings", json=settings).raise_for_status()
    return f"{sandbox_url}/zoom"


@pytest.fixture
def slack_url(sandbox_url: str) -> str:
    """Slack's base URL: a new workspace with the real limits."""
    httpx.post(f"{sandbox_url}/slack/_control/reset").raise_for_status()
    return f"{sandbox_url}/slack"


@dataclass
class Receiver:
    """A webhook endpoint that remembers what it got and answers from a list, then with 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer_body: Callable[[bytes], bytes] = lambda _: b""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server of the test's own."""
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            answer = told.answer_body(body)
            self.send_response(told.answers.pop(0) if told.answers else 200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}/hooks"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the sandbox ended"
        try:
            httpx.get(f"{url}/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)  # another process starts and has no other way to tell
        else:
            return
    pytest.fail("the sandbox did not start")
