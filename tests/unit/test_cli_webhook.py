"""`calstream webhook send`: what goes over the wire, and what the exit status says."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from calstream_ingest.sources import SOURCES, Request, Secret, Verified
from calstream_ops.cli.root import app

BODY = b'{ "id": "evt_1",  "workspace": "acme" }'
SECRET = "first"


@dataclass
class Door:
    """An HTTP server that keeps what it gets and answers as it is told."""

    address: str
    status: int = 200
    answer: bytes = b'{"status":"accepted","id":"w1"}'
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def door() -> Iterator[Door]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((self.path, dict(self.headers), body))
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(found.answer)))
            self.end_headers()
            self.wfile.write(found.answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Door(f"127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALSTREAM_CONFIG", raising=False)
    monkeypatch.setenv("CALSTREAM_STATE__DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("FIRST", SECRET)
    (tmp_path / "calstream.toml").write_text(
        f"[ingest]\nlisten = '{door.address}'\n"
        "[workspaces.acme.secrets]\n"
        "calendar_live = [{ env = 'FIRST' }, { env = 'SECOND', label = 'next' }]\n"
        "stripe = [{ env = 'FIRST' }]\nzoom = [{ env = 'FIRST' }]\nhubspot = [{ env = 'FIRST' }]\n"
        "[workspaces.beta]\n"
    )
    (tmp_path / "body.json").write_bytes(BODY)
    return tmp_path


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["webhook", "send", *words], input=stdin)


def signature(secret: str) -> str:
    return hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()


def test_the_very_bytes_are_signed_with_the_first_secret_and_posted(door: Door) -> None:
    answer = run("body.json", "--delivery-id", "dlv_7")
    assert answer.exit_code == 0
    assert answer.stdout == "200 accepted w1\n"
    [(path, headers, body)] = door.got
    assert path == "/v1/webhooks/acme/calendar_live"
    assert body == BODY
    assert headers["X-CL-Signature"] == signature(SECRET)
    assert headers["X-CL-Delivery-ID"] == "dlv_7"
    assert headers["Content-Type"] == "application/json"


def test_each_sending_has_a_delivery_id_of_its_own_from_standard_input_too(door: Door) -> None:
    for _ in range(2):
        assert run("-", stdin=BODY).exit_code == 0
    first, second = (headers["X-CL-Delivery-ID"] for _, headers, _ in door.got)
    assert first != second


def test_a_bad_signature_is_of_another_secret(door: Door) -> None:
    run("body.json", "--bad-signature")
    [(_, headers, _)] = door.got
    assert len(headers["X-CL-Signature"]) == len(signature(SECRET))
    assert headers["X-CL-Signature"] != signature(SECRET)


def test_a_refusal_is_shown_and_is_status_1(door: Door) -> None:
    door.status, door.answer = 401, b'{"status":"refused","code":"signature-invalid"}'
    answer = run("body.json", "-o", "json")
    assert answer.exit_code == 1
    told = json.loads(answer.stdout)
    assert (told["status"], told["answer"]["code"]) == (401, "signature-invalid")


def test_an_answer_that_is_no_json_is_shown_as_it_is(door: Door) -> None:
    door.status, door.answer = 502, b"Bad \x1b[2Jgateway"
    answer = run("body.json")
    assert answer.exit_code == 1
    assert answer.stdout == "502 Bad \N{REPLACEMENT CHARACTER}[2Jgateway\n"


def test_it_may_go_to_another_host_or_to_a_whole_address(door: Door) -> None:
    run("body.json", "--to", f"http://{door.address}/")
    run("body.json", "--to", f"http://{door.address}/elsewhere")
    assert [path for path, _, _ in door.got] == ["/v1/webhooks/acme/calendar_live", "/elsewhere"]


def test_nothing_listening_is_status_69() -> None:
    answer = run("body.json", "--to", "http://127.0.0.1:1", "-o", "json")
    assert answer.exit_code == 69
    assert json.loads(answer.stderr)["code"] == "stack-not-running"


@pytest.mark.parametrize("to", ["nonsense", "ftp://127.0.0.1", "http://[bad"])
def test_what_is_no_address_is_a_usage_error(to: str) -> None:
    assert run("body.json", "--to", to).exit_code == 2


def test_a_workspace_that_is_not_configured_is_refused_with_a_suggestion(home: Path) -> None:
    (home / "body.json").write_bytes(b'{"workspace": "acm"}')
    answer = run("body.json")
    assert answer.exit_code == 78
    assert "Did you mean acme?" in answer.stderr


def test_a_body_that_names_no_workspace_needs_one(door: Door) -> None:
    assert run("-", stdin=b"no json").exit_code == 2
    assert run("-", "--workspace", "acme", stdin=b"no json").exit_code == 0
    assert door.got[0][2] == b"no json"


def test_a_workspace_without_a_secret_can_not_sign() -> None:
    answer = run("body.json", "--workspace", "beta", "-o", "json")
    assert answer.exit_code == 78
    assert json.loads(answer.stderr)["code"] == "secret-missing"


def test_a_file_that_is_not_there_is_a_usage_error() -> None:
    assert run("none.json").exit_code == 2


@pytest.mark.parametrize("source", ["stripe", "zoom", "hubspot"])
def test_a_webhook_is_signed_as_its_source_signs(door: Door, source: str) -> None:
    assert run("body.json", "--source", source).exit_code == 0
    [(path, headers, body)] = door.got
    assert path == f"/v1/webhooks/acme/{source}"
    lowered = {name.lower(): value for name, value in headers.items()}
    uri = f"http://{door.address}{path}"
    now = time.time_ns() // 1000  # it was signed a moment ago, by the same clock
    request = Request("POST", uri, lowered, body, now)
    found = SOURCES[source].authenticate(request, [Secret("first", SECRET.encode())])
    assert isinstance(found, Verified)


def test_a_source_that_nobody_knows_is_a_usage_error() -> None:
    assert run("body.json", "--source", "fax").exit_code == 2
