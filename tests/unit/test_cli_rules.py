"""`calstream config explain` and `generate`: what the settings say of owners, on paper."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from calstream_ops.cli.root import app
from calstream_ops.reference.field_page import field_page
from calstream_processors.normalise.calendar_live_fields import SOURCE_OF_FIELD
from calstream_processors.resolve.automation.writes import WRITTEN_BY_RULES
from calstream_schemas.entities import KINDS

SETTINGS = """
[workspaces.acme]
pattern = "two_way"
[workspaces.acme.rules.owners]
"contact.name" = "calendar"
[workspaces.acme.rules.scoring]
threshold = 50
table = [
  { field = "team_size", operator = "one_of", value = ["51-200", "201+"], points = 30 },
  { field = "wants_demo", value = true, points = 20 },
  { field = "notes", operator = "answered", points = 5 },
]
[[workspaces.acme.rules.assignment.people]]
owner_id = "101"
weight = 2
[workspaces.other]
[sinks.hubspot]
type = "hubspot"
workspaces = ["acme"]
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="calstream")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALSTREAM_CONFIG", raising=False)
    monkeypatch.setenv("CALSTREAM_STATE__DIRECTORY", str(tmp_path / "state"))
    (tmp_path / "calstream.toml").write_text(SETTINGS)
    return tmp_path


def test_the_owner_of_a_field_is_explained_by_the_pattern(home: Path) -> None:
    answer = run("config", "explain", "booking.start", "-o", "json")
    assert answer.exit_code == 0, answer.stderr
    acme, other = json.loads(answer.stdout)
    assert (acme["group"], acme["owner"]) == ("schedule", "newest")
    assert acme["reason"] == f"the pattern two_way, {home / 'calstream.toml'}"
    assert (other["owner"], other["reason"]) == (
        "calendar",
        "the pattern calendar_to_crm, default",
    )


def test_the_owner_of_a_group_is_explained_by_the_setting_that_changes_it(home: Path) -> None:
    answer = run("config", "explain", "contact.full_name", "--workspace", "acme", "-o", "json")
    (found,) = json.loads(answer.stdout)
    assert found["owner"] == "calendar"
    place = f'workspaces.acme.rules.owners."contact.name" in {home / "calstream.toml"}'
    assert found["reason"] == place


def test_the_rules_that_write_a_field_are_explained_with_their_setting(home: Path) -> None:
    def rules(what: str) -> list[list[str]]:
        answer = run("config", "explain", what, "-o", "json")
        assert answer.exit_code == 0, answer.stderr
        return [each["rules"] for each in json.loads(answer.stdout)]

    place = home / "calstream.toml"
    assert rules("contact.lead_score") == [
        [
            "team_size one_of 51-200, 201+: 30 points",
            "wants_demo is true: 20 points",
            "notes answered: 5 points",
            "from 50 points on a message at once",
            f"set by workspaces.acme.rules.scoring.table, {place}",
        ],
        [],
    ]
    assert rules("contact.owner_id") == [
        [
            "whoever books and has no owner, by turns: 101 (weight 2)",
            f"set by workspaces.acme.rules.assignment.people, {place}",
        ],
        [],
    ]
    assert rules("contact.lead_source")[1] == [
        "whoever books: calendar.live",
        "set by workspaces.other.rules.lead_source, default",
    ]
    assert (
        rules("attendance.payment_status")
        == [["required where the event costs money, then as its payment says"]] * 2
    )
    assert rules("booking.start") == [[], []]


def test_a_system_in_the_precedence_is_a_sink_or_a_source(home: Path) -> None:
    def check(name: str) -> Result:
        changed = SETTINGS.replace(
            "[workspaces.acme.rules.owners]",
            f"""[workspaces.acme.rules]
precedence = ["{name}", "calendar"]
[workspaces.acme.rules.owners]""",
        )
        (home / "calstream.toml").write_text(changed)
        return run("config", "explain", "booking.title", "--workspace", "acme", "-o", "json")

    (found,) = json.loads(check("hubspot").stdout)
    assert "hubspot before calendar before crm" in found["otherwise"]
    refused = check("hubspt")
    assert refused.exit_code == 78
    assert "no role or system 'hubspt'; did you mean hubspot?" in refused.stderr


def test_the_mapping_says_what_the_rules_write() -> None:
    rows = json.loads(run("generate", "mapping", "--workspace", "acme", "-o", "json").stdout)
    written = {(row["kind"], row["field"]): row["rules"] for row in rows if row["rules"]}
    groups = {
        (kind, field.name)
        for kind, group in WRITTEN_BY_RULES
        for field in KINDS[kind].group_by_name[group].fields
    }
    assert written.keys() == groups
    assert written["contact", "lead_score"].startswith("team_size one_of 51-200, 201+: 30 points; ")


def test_without_a_workspace_the_default_pattern_is_explained(home: Path) -> None:
    (home / "calstream.toml").write_text("")
    answer = run("config", "explain", "contact.name")
    assert answer.exit_code == 0
    assert "crm" in answer.stdout


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("booking.strat_at", "Did you mean booking.start_at?"),
        ("bookng.title", "Did you mean booking?"),
        ("booking", "Did you mean booking"),
    ],
)
def test_a_field_that_there_is_not_gets_a_suggestion(what: str, hint: str) -> None:
    answer = run("config", "explain", what)
    assert answer.exit_code == 78
    assert hint in answer.stderr


def test_the_check_finds_rules_that_are_not_valid(home: Path) -> None:
    (home / "calstream.toml").write_text(SETTINGS.replace("contact.name", "contact.nmae"))
    answer = run("config", "check")
    assert answer.exit_code == 78
    assert "contact has no group 'nmae'; did you mean name?" in answer.stderr


def test_the_mapping_names_source_owner_and_property_of_every_field() -> None:
    answer = run("generate", "mapping", "-o", "json")
    assert answer.exit_code == 0, answer.stderr
    rows = json.loads(answer.stdout)
    by_field = {(row["workspace"], row["kind"], row["field"]): row for row in rows}
    fields = {(kind.name, field) for kind in KINDS.values() for field in kind.field_by_name}
    for workspace in ("acme", "other"):
        assert {key[1:] for key in by_field if key[0] == workspace} == fields
    name = by_field["acme", "contact", "full_name"]
    assert (name["calendar_live"], name["owner"], name["kept"]) == (
        "attendee.full_name",
        "calendar",
        "sealed",
    )
    assert (name["sink"], name["property"]) == ("hubspot", "firstname, lastname")
    assert by_field["other", "contact", "full_name"]["sink"] == ""
    assert sum(row["field"] == "start_at" and row["workspace"] == "acme" for row in rows) == 2


def test_the_mapping_is_a_spreadsheet_or_a_page() -> None:
    told = run("generate", "mapping", "--workspace", "acme", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert {row["workspace"] for row in rows} == {"acme"}
    page = run("generate", "mapping", "--workspace", "acme").stdout
    assert page.startswith("# Field mapping\n\n## acme\n\n| kind | group | field |")
    assert page.count("\n") == len(rows) + 6


def test_every_source_is_of_a_field_that_there_is() -> None:
    for kind, field in SOURCE_OF_FIELD:
        assert field in KINDS[kind].field_by_name


def test_the_page_of_fields_is_an_answer() -> None:
    assert run("generate", "fields").stdout == field_page()
