"""The first minutes with the product, and every command that the docs show."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calstream_ops.stack.ports import remembered_ports

pytestmark = [pytest.mark.e2e, pytest.mark.broker]

BOOKING = {
    "id": "evt_1",
    "type": "event.created",
    "created_at": "2026-11-20T09:15:02.114Z",
    "api_version": "2026-01-24",
    "workspace": "acme",
    "live_mode": True,
    "data": {
        "event": {
            "id": "cal_7f3a",
            "uid": "b1d5c2d0@calendar.live",
            "title": "Product trial",
            "status": "confirmed",
            "start": "2026-11-27T15:00:00Z",
            "end": "2026-11-27T15:30:00Z",
            "timezone": "America/New_York",
            "last_modified": "2026-11-20T09:15:01.998Z",
            "sequence": 0,
            "event_type": {"slug": "trial-30", "title": "Trial", "kind": "one_to_one"},
            "host": {"id": "usr_12", "email": "dana@acme.example", "name": "Dana Reyes"},
            "location": {"kind": "zoom", "join_url": None},
        },
        "attendee": {
            "id": "att_55",
            "email": " Jo.Park@Example.COM ",
            "full_name": "Jo Park",
            "last_modified": "2026-11-20T09:15:01.998Z",
        },
        "payment": None,
    },
}


class Shell:
    """Runs `calstream` in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ports = remembered_ports(directory / "ports.json", ("ingest", "sandbox"))
        self.sandbox = f"127.0.0.1:{ports['sandbox']}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CALSTREAM_")}
        self._environment = {
            **kept,
            "BUNDLE_PASSPHRASE": "a passphrase of the test",
            **dict.fromkeys(("ACME_STRIPE", "ACME_ZOOM", "ACME_HUBSPOT"), "a secret of the test"),
            "CALSTREAM_STATE__DIRECTORY": str(directory / "state"),
            "CALSTREAM_INGEST__LISTEN": f"127.0.0.1:{ports['ingest']}",
            "CALSTREAM_SINKS__HUBSPOT__BASE_URL": f"http://{self.sandbox}/hubspot",
        }

    def run(self, *words: str, status: int = 0) -> Any:
        answer = self.call(*words, "-o", "json")
        assert answer.returncode == status, answer.stderr
        return json.loads(answer.stdout) if answer.stdout else json.loads(answer.stderr)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "calstream_ops.cli", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            env=self._environment,
        )

    def until_settled(self) -> None:
        give_up_at = time.monotonic() + 60
        while True:
            [sink] = self.run("sink", "list")
            ledger = self.run("topic", "list")
            written = {each["topic"]: each["offsets"] for each in ledger}["sink.hubspot.ledger"]
            if written and not sum(sink["pending"].values()):
                return
            assert time.monotonic() < give_up_at, sink


# each is run by the name that stands behind it
RUN_ELSEWHERE = {
    "calstream up": "it stays in the foreground; test_stack_control",
    "calstream up --detach": "the start of this test",
    "calstream down": "the end of this test",
    "calstream demo": "tests/e2e/test_demo",
    "calstream chaos engine": "it takes minutes; engine/test_chaos",
    "calstream chaos engine --events 5000 --seed 1 --json": "engine/test_chaos",
    "calstream chaos engine --events 50000 --seed 1 --json": "engine/test_chaos, of the slow ones",
    "calstream init": "the start of this test",
    "calstream bench identity": "unit/test_bench_identity",
    "calstream bench identity --json": "unit/test_bench_identity",
    "calstream bench overlap": "it takes a minute; with --quick it is run here",
    "calstream bench identity --json > identity.json": "unit/test_bench_identity",
    "calstream contact merge": "pipeline/test_identity",
    "calstream contact merge KEY INTO --yes": "pipeline/test_identity",
    "calstream contact unmerge": "pipeline/test_identity",
    "calstream contact unmerge KEY --yes": "pipeline/test_identity",
    "calstream contact apart": "pipeline/test_identity",
    "calstream contact apart KEY OTHER --yes": "pipeline/test_identity",
    "calstream consent show KEY": "pipeline/test_erasure",
    **dict.fromkeys(
        (
            "calstream conflict settle",
            "calstream conflict settle KEY GROUP --for hubspot",
            "calstream conflict settle KEY GROUP --value TEXT",
        ),
        "pipeline/test_rules",
    ),
    **dict.fromkeys(
        (
            "calstream erase",
            "calstream erase --contact KEY --again",
            "calstream erase --contact acme --email jo.park@example.com",
            "calstream erase --contact acme --email jo.park@example.com --dry-run",
        ),
        "pipeline/test_erasure",
    ),
    **dict.fromkeys(
        (
            "calstream bench engine",
            "calstream bench engine --json > engine.json",
            "calstream bench engine --quick --without-peers",
        ),
        "tests/integration/test_bench_engine",
    ),
    **dict.fromkeys(
        (
            "calstream bench resolve",
            "calstream bench resolve --json > resolve.json",
            "calstream bench resolve --quick --without-peers",
        ),
        "tests/integration/test_bench_resolve",
    ),
    **dict.fromkeys(
        (
            "calstream bench render",
            "calstream bench render engine.json benchmarks.md",
            "calstream bench render identity.json benchmarks.md",
            "calstream bench render resolve.json benchmarks.md",
        ),
        "tests/unit/bench/test_report",
    ),
    "calstream webhook tail": "it follows until Ctrl-C; test_cli_reading",
    "calstream --install-completion": "it changes the user's own shell; test_cli_root",
    "calstream COMMAND --help": "every command; test_cli_root",
}
# what stands for something of the reader's, and what a command needs that is only named
PLACEHOLDERS = {
    "FILE": "booking.json",
    "KEY": "acme/booking/calendar_live/event/cal_7f3a",
    "ID": "hubspot",
    "NAME": "webhooks",
    "WORKSPACE": "acme",
}
NEEDED = {
    "calstream workspace add": "another",
    "calstream workspace connect": "acme zoom --secret env:ACME_ZOOM",
    "calstream sink check": "hubspot",
    "calstream sink setup": "hubspot",
    "calstream sink resync": "hubspot --verify",
    "calstream config explain": "booking.start",
    "calstream entity show": "KEY",
    "calstream entity history": "KEY",
    "calstream audit show": "KEY",
    "calstream entity list": "WORKSPACE",
    "calstream review list": "WORKSPACE",
    "calstream consent show": "acme --email jo.park@example.com",
    "calstream conflict list": "WORKSPACE",
    "calstream conflict show": "KEY",
    "calstream webhook send": "FILE",
    "calstream topic tail": "NAME",
    "calstream key export": "another.bundle --passphrase env:BUNDLE_PASSPHRASE",
    "calstream key import": "another.bundle --passphrase env:BUNDLE_PASSPHRASE",
}


def _documented() -> list[str]:
    """Every command of the docs as they show it, in blocks and in the text."""
    root = Path(__file__).parents[2]
    found = set()
    for page in [root / "README.md", *(root / "docs").glob("*.md")]:
        text = page.read_text("utf-8")
        blocks = re.findall(r"^(calstream [^#\n]*?) *(?:#.*)?$", text, re.MULTILINE)
        found |= {*blocks, *re.findall(r"`(calstream [^`]+)`", text)}
    return sorted(found - RUN_ELSEWHERE.keys())


def _words(command: str) -> list[str]:
    words = f"{command} {NEEDED.get(command, '')}".split()[1:]
    return [PLACEHOLDERS.get(word, word) for word in words]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    found = Shell(tmp_path)
    yield found
    found.run("down")


@pytest.mark.timeout(600)  # every command that the docs show, one after the other
def test_from_nothing_to_a_booking_in_the_crm_and_back_after_a_restart(shell: Shell) -> None:
    shell.run("init")
    shell.run("workspace", "add", "acme")
    (shell.directory / "booking.json").write_text(json.dumps(BOOKING))
    up = ("up", "--detach", "--sandbox-listen", shell.sandbox)
    started = shell.run(*up)
    assert {each["name"]: each["state"] for each in started} == dict.fromkeys(
        ("broker", "sandbox", "ingest", "processors", "sinks"), "well"
    )
    assert shell.run(*up, status=69)["code"] == "stack-running"
    assert shell.run("topic", "check")["ok"]

    assert shell.run("webhook", "send", "booking.json")["status"] == 200
    shell.run("webhook", "send", "booking.json", "--bad-signature", status=1)
    shell.until_settled()
    contact = shell.run("entity", "show", "acme", "--email", "jo.park@example.com")
    assert contact["fields"]["full_name"]["value"] == "Jo Park"
    assert {copy["system"] for copy in contact["copies"]} == {"calendar_live", "hubspot", "rules"}

    (shell.directory / "audit-2026-11.json").write_text('{"chains": []}')
    documented = _documented()
    assert len(documented) > 20
    for command in documented:
        if command != "calstream workspace add acme":  # it was run above, and is refused twice
            answer = shell.call(*_words(command))
            assert answer.returncode == 0, f"{command}: {answer.stderr}"

    assert shell.run("down") == {"stopped": True}
    shell.run(*up)
    summary = shell.run("sink", "resync", "hubspot", "--verify", "--yes")
    assert (summary["missing"], summary["dead"]) == (2, 0)
    assert shell.run("sink", "check", "hubspot")
    assert shell.run("status")
