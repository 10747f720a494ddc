"""Other rules through the real pipeline: the plan, the refold, and what is kept of them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import tomlkit
from tests.integration.pipeline.conftest import Install, Installation, eventually
from typer.testing import CliRunner

from calstream_core.clock import now_microseconds
from calstream_ops.cli.root import app
from calstream_sandbox.calendar_live.calendar import Booking, Calendar
from calstream_sandbox.calendar_live.model import EventType, Host
from calstream_schemas.conflicts import Conflict, decode_conflict
from calstream_schemas.entities import Entity, NaturalId, Stamp, Values
from calstream_schemas.observations import Fact, Observation, Statement, observation_id
from calstream_schemas.topics import CONFLICTS, PROCESSORS_DEAD

pytestmark = pytest.mark.broker

HOST = Host("usr_12", "dana@acme.example", "Dana Reyes")
START = datetime(2026, 11, 27, 15, tzinfo=UTC)
CRM_CONTACT = NaturalId("hubspot", "contact", "501")


def _run(installation: Installation, *words: str, status: int = 0) -> Any:
    words = (*words, "--config", str(installation.file), "-o", "json")
    answer = CliRunner().invoke(app, list(words))
    assert answer.exit_code == status, answer.stderr
    return json.loads(answer.stdout or answer.stderr)


def _set_rules(installation: Installation, **owners: str) -> None:
    document = tomlkit.loads(installation.file.read_text())
    document["workspaces"]["acme"]["rules"] = {
        "owners": {key.replace("__", "."): role for key, role in owners.items()}
    }
    installation.file.write_text(tomlkit.dumps(document))


def _crm_says(contact: Entity, **groups: Values) -> Observation:
    at = now_microseconds()
    return Observation(
        id=observation_id("hubspot", str(at), Fact.STATE, CRM_CONTACT),
        workspace="acme",
        fact=Fact.STATE,
        kind="contact",
        natural_id=CRM_CONTACT,
        role="crm",
        received_at=at,
        occurred_at=at,
        statements=tuple(
            Statement(group, values, Stamp(-1, at, by_self=False))
            for group, values in groups.items()
        ),
        about=contact.id,
    )


def _contact(installation: Installation) -> list[Entity]:
    (found,) = (v for key, v in installation.versions().items() if "/contact/" in key)
    return found


@pytest.fixture(scope="module")
def installation(broker: str, install: Install) -> Installation:
    """A person whom the CRM knows under another name, with the default rules."""
    made = install(broker)
    made.processors.start().until_ready()
    calendar = Calendar("acme", seed="rules")
    person = calendar.add_attendee("jo@example.com", "Jo Park", company="Northwind")
    end = START + timedelta(minutes=30)
    made.receive(calendar.book(Booking(HOST, EventType("t", "T"), START, end, "UTC"), person)[1])
    eventually(lambda: made.handled("resolve") == 3)
    made.observe(_crm_says(_contact(made)[-1], name={"full_name": "Joanna"}))
    eventually(lambda: made.handled("resolve") == 4)
    return made


def test_rules_are_planned_applied_kept_and_used(installation: Installation) -> None:
    assert _contact(installation)[-1].values["full_name"] == "Joanna"
    (plan,) = _run(installation, "rules", "plan")
    assert plan["in_force"] == plan["settings"]
    assert plan["changes"] == []

    _set_rules(installation, contact__name="calendar", contact__company="calendar")
    (plan,) = _run(installation, "rules", "plan", "--workspace", "acme")
    values = [each for each in plan["changes"] if each["old"] != each["new"]]
    (change,) = values
    assert (change["field"], change["old"], change["new"]) == ("full_name", "Joanna", "Jo Park")
    assert (change["decided_by"]["system"], change["would_decide"]["system"]) == (
        "hubspot",
        "calendar_live",
    )
    before = len(_contact(installation))
    _run(installation, "rules", "apply")
    assert len(_contact(installation)) == before, "without --yes it is the plan"

    (done,) = _run(installation, "rules", "apply", "--yes")
    assert (done["workspace"], done["applied"]) == ("acme", True)
    newest = _contact(installation)[-1]
    assert newest.values["full_name"] == "Jo Park"
    assert newest.decisions["company"].rule == "owner"
    assert len(_contact(installation)) == before + 1
    assert all(len(v) == 1 for key, v in installation.versions().items() if "/booking/" in key)
    (again,) = _run(installation, "rules", "apply", "--yes")
    assert not again["applied"]


def _conflicts(installation: Installation) -> list[tuple[str, str, str]]:
    found = []
    for record in installation.records(CONFLICTS):
        conflict = decode_conflict(record.value() or b"", installation.keys.sealer)
        assert isinstance(conflict, Conflict)
        assert record.key() == conflict.key.encode()
        found.append((conflict.group, conflict.state.value, conflict.rule))
    return found


def test_systems_that_differ_leave_a_conflict_until_they_agree_also_over_a_restart(
    installation: Installation,
) -> None:
    # the calendar's and the CRM's name, decided by the CRM and since the other rules the calendar
    assert _conflicts(installation) == [("name", "open", "owner")] * 2
    installation.processors.kill()
    installation.processors.start().until_ready()
    version = _contact(installation)[-1].version
    installation.observe(_crm_says(_contact(installation)[-1], name={"full_name": "Jo Park"}))
    eventually(lambda: _contact(installation)[-1].version == version + 1)
    assert _conflicts(installation)[2:] == [("name", "agreed", "owner")]
    installation.observe(_crm_says(_contact(installation)[-1], name={"full_name": "Joanna"}))
    eventually(lambda: _contact(installation)[-1].version == version + 2)
    assert _conflicts(installation)[3:] == [("name", "open", "owner")]


def test_rules_outlive_a_restart_and_decide_what_comes_later(installation: Installation) -> None:
    installation.processors.kill()
    installation.processors.start().until_ready()
    before = _contact(installation)[-1]
    installation.observe(_crm_says(before, company={"company": "Southwind"}))
    eventually(lambda: _contact(installation)[-1].version == before.version + 1)
    newest = _contact(installation)[-1]
    assert newest.values["company"] == "Northwind"
    assert newest.copies[CRM_CONTACT].registers["company"].values == {"company": "Southwind"}
    (plan,) = _run(installation, "rules", "plan")
    assert plan["in_force"] == plan["settings"]
    assert plan["changes"] == []


def test_going_back_to_the_rules_of_before_changes_the_truth_again(
    installation: Installation,
) -> None:
    _set_rules(installation)
    (done,) = _run(installation, "rules", "apply", "--yes")
    assert done["applied"]
    newest = _contact(installation)[-1]
    assert (newest.values["full_name"], newest.values["company"]) == ("Joanna", "Southwind")
    tail = ("topic", "tail", "resolver.state", "--decode", "-o", "json")
    shown = CliRunner().invoke(app, [*tail, "--config", str(installation.file)])
    kept = [json.loads(line) for line in shown.stdout.splitlines()]
    (rules,) = [each["value"] for each in kept if each["record"] == "rule_set"][-1:]
    assert rules["pattern"] == "calendar_to_crm"
    assert installation.end(PROCESSORS_DEAD) == 0


def test_a_person_settles_a_conflict_and_it_stays_settled_until_a_system_speaks_anew(
    installation: Installation,
) -> None:
    installation.observe(_crm_says(_contact(installation)[-1], company={"company": "Southwind"}))
    eventually(lambda: any(c[:2] == ("company", "open") for c in _conflicts(installation)))
    key = _contact(installation)[-1].key
    listed = _run(installation, "conflict", "list", "acme")["conflicts"]
    (of_company,) = (each for each in listed if each["group"] == "company")
    assert [v["values"]["company"] for v in of_company["voices"]] == ["Northwind", "Southwind"]

    words = ("conflict", "settle", key, "company", "--for")
    refused = _run(installation, *words, "zoom", status=2)
    assert "calendar_live, hubspot" in refused["message"]
    assert not _run(installation, *words, "calendar_live")["done"]
    assert _run(installation, *words, "calendar_live", "--yes", "--by", "dana")["done"]
    (ended,) = _run(installation, "conflict", "show", key, "company")
    assert (ended["state"], ended["rule"]) == ("settled", "settled")
    again = _run(installation, *words, "hubspot", "--yes", status=65)
    assert again["code"] == "conflict-not-open"

    installation.processors.kill()
    installation.processors.start().until_ready()
    version = _contact(installation)[-1].version
    installation.observe(_crm_says(_contact(installation)[-1], company={"company": "Southwind"}))
    eventually(lambda: _contact(installation)[-1].version == version + 1)
    assert _contact(installation)[-1].values["company"] == "Northwind"
    installation.observe(_crm_says(_contact(installation)[-1], company={"company": "Westwind"}))
    eventually(lambda: _contact(installation)[-1].values["company"] == "Westwind")


def test_without_a_resolver_the_command_says_that_the_rules_wait(
    installation: Installation,
) -> None:
    installation.processors.kill()
    _set_rules(installation, contact__name="calendar")
    answer = _run(installation, "rules", "apply", "--yes", "--timeout", "0", status=69)
    assert answer["code"] == "stack-not-running"
    installation.processors.start().until_ready()
    eventually(lambda: _contact(installation)[-1].values["full_name"] == "Jo Park")
