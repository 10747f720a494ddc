"""The compose project as a whole: built, started, one webhook in, the contact in the CRM."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from calstream_ops.demo.crm import Crm
from calstream_ops.stack.ports import remembered_ports
from calstream_sandbox.calendar_live.builder import Webhook
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host

# building the image downloads some hundred megabytes
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
_ARRIVES_SECONDS = 60


class Project:
    """One compose project with a name, ports and secrets of its own."""

    def __init__(self, docker: str, folder: Path) -> None:
        ports = remembered_ports(folder / "ports.json", ("ingest", "sandbox"))
        secrets = folder / "secrets"
        secrets.mkdir()
        for name, value in (("acme_calendar_live", uuid4().hex), ("hubspot_token", "pat-sandbox")):
            (secrets / name).write_text(value, "ascii")
            (secrets / name).chmod(0o644)  # the user of the container reads it
        self._sandbox = f"http://127.0.0.1:{ports['sandbox']}"
        self._command = [docker, "compose", "--project-name", f"calstream-test-{uuid4().hex[:8]}"]
        self._environment = {
            **os.environ,
            "INGEST_PORT": str(ports["ingest"]),
            "SANDBOX_PORT": str(ports["sandbox"]),
            "SECRETS_DIRECTORY": str(secrets),
        }

    def run(
        self, *arguments: str, text: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._command, "--profile", "sandbox", *arguments],
            cwd=ROOT,
            env=self._environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"docker compose {' '.join(arguments)}:\n{done.stderr[-4000:]}")
        return done

    def up(self, *arguments: str) -> None:
        """Returns when every process is well."""
        wait = ("--detach", "--wait", "--wait-timeout", "300")
        started = self.run("up", *wait, *arguments, check=False)
        if started.returncode != 0:
            logs = self.run("logs", "--no-color", "--tail", "40", check=False).stdout
            pytest.fail(f"{started.stderr[-2000:]}\n{logs[-8000:]}")

    def send(self, webhooks: Sequence[Webhook]) -> None:
        command = ("exec", "-T", "ingest", "calstream", "webhook", "send", "-")
        for webhook in webhooks:
            assert "accepted" in self.run(*command, text=webhook.raw.decode()).stdout

    def crm_when(self, arrived: Callable[[Crm], bool]) -> Crm:
        """What is in the CRM once something has arrived there; fails when the time is up."""
        deadline = time.monotonic() + _ARRIVES_SECONDS
        while True:
            answer = httpx.get(f"{self._sandbox}/hubspot/_control/dump", trust_env=False)
            answer.raise_for_status()
            crm = Crm.parse(answer.json())
            if arrived(crm):
                return crm
            assert time.monotonic() < deadline, crm
            time.sleep(0.5)  # the CRM only tells on asking


def _docker() -> str:
    """The command; skips where there is no engine or no compose."""
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("there is no `docker` command")
    for arguments, fault in (
        (["version"], "no Docker engine answers"),
        (["compose", "version"], "docker has no compose plugin"),
    ):
        answer = subprocess.run([docker, *arguments], capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            pytest.skip(f"{fault}: {answer.stderr.strip().partition(chr(10))[0]}")
    return docker


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(_docker(), tmp_path_factory.mktemp("containers"))
    try:
        made.run("build")
        made.up()
        yield made
    finally:
        made.run("down", "--volumes", "--remove-orphans", check=False)


def test_a_booking_reaches_the_crm_and_new_containers_go_on_with_it(project: Project) -> None:
    calendar = Calendar("acme", live_mode=False)
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    end = start + timedelta(minutes=30)
    person = calendar.add_attendee("jo.park@example.com", "Jo Park")
    host = Host("usr_12", "dana@acme.example", "Dana Reyes")
    trial = EventType("trial-30", "Product trial")
    event, booked = calendar.book(Booking(host, trial, start, end, "America/New_York"), person)

    project.send(booked)
    crm = project.crm_when(lambda crm: len(crm.meetings_of(event.id)) == 1)
    (contact,) = crm.contacts_with_email("jo.park@example.com")
    (meeting,) = crm.meetings_of(event.id)
    assert crm.attendees[meeting] == (contact,)

    # all but the sandbox, which would forget; the volumes have the log and the keys
    project.up("--force-recreate", "kafka", "ingest", "processors", "sinks")
    day = timedelta(days=1)
    project.send(calendar.reschedule(event, start + day, end + day))
    moved = (start + day).strftime("%Y-%m-%dT%H:%M:%SZ")
    crm = project.crm_when(lambda crm: crm.meetings[meeting]["hs_meeting_start_time"] == moved)
    assert list(crm.contacts) == [contact]
    assert list(crm.meetings) == [meeting]


def test_all_share_one_key_and_none_runs_as_root(project: Project) -> None:
    keys = set()
    for name in ("ingest", "processors", "sinks"):
        assert project.run("exec", "-T", name, "id", "-u").stdout.strip() == "10001"
        key = project.run(
            "exec", "-T", name, "sha256sum", "/var/lib/calstream/keys/encryption.keys"
        )
        keys.add(key.stdout)
    assert len(keys) == 1
