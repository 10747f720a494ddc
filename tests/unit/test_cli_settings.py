"""`calstream init`, `workspace` and `config`: a settings file from nothing to checked."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from calstream_core.settings import load_settings
from calstream_ops.cli.root import app

COMMENT = "# mine: keep this\n"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="calstream")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALSTREAM_CONFIG", raising=False)
    monkeypatch.setenv("CALSTREAM_STATE__DIRECTORY", str(tmp_path / "state"))
    return tmp_path


def test_what_init_writes_passes_the_check(home: Path) -> None:
    made = run("init")
    assert made.exit_code == 0
    assert made.stdout == f"{home / 'calstream.toml'}\n"
    checked = run("config", "check", "-o", "json")
    assert checked.exit_code == 0
    assert json.loads(checked.stdout) == {
        "ok": True,
        "path": str(home / "calstream.toml"),
        "workspaces": [],
        "sinks": ["hubspot"],
    }


def test_init_replaces_nothing_unless_it_is_told_to(home: Path) -> None:
    (home / "calstream.toml").write_text(COMMENT)
    assert run("init").exit_code == 78
    assert (home / "calstream.toml").read_text() == COMMENT
    assert run("init", "--force").exit_code == 0
    assert load_settings(home / "calstream.toml").settings.sinks


def test_the_commented_example_is_right_when_it_is_uncommented(home: Path) -> None:
    run("init")
    path = home / "calstream.toml"
    lines = path.read_text().splitlines()
    start = lines.index("# [workspaces.acme]")
    lines[start : start + 5] = [line.removeprefix("# ") for line in lines[start : start + 5]]
    path.write_text("\n".join(lines))
    workspace = load_settings(path).settings.workspaces["acme"]
    assert workspace.secrets["calendar_live"][0].file == Path("/run/secrets/acme")


def test_an_unknown_key_gets_a_suggestion_and_status_78(home: Path) -> None:
    (home / "calstream.toml").write_text("[ingest]\nlisten_to = 'x'\n[kafka]\npartition = 3\n")
    answer = run("config", "check")
    assert answer.exit_code == 78
    assert "kafka.partition: unknown key; did you mean partitions?" in answer.stderr
    assert "ingest.listen_to" in answer.stderr


def test_a_workspace_is_added_with_a_secret_that_only_its_owner_reads(home: Path) -> None:
    run("init")
    answer = run("workspace", "add", "acme", "--default-country", "DE", "-o", "json")
    assert answer.exit_code == 0
    told = json.loads(answer.stdout)
    assert told["webhook_address"] == "http://127.0.0.1:8080/v1/webhooks/acme/calendar_live"
    secret = Path(told["secret_file"])
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    workspace = load_settings(home / "calstream.toml").settings.workspaces["acme"]
    assert workspace.default_country == "DE"
    assert workspace.secrets["calendar_live"][0].file == secret
    assert run("config", "check").exit_code == 0


def test_the_same_workspace_twice_is_refused_and_changes_nothing(home: Path) -> None:
    run("init")
    run("workspace", "add", "acme")
    before = (home / "calstream.toml").read_text()
    answer = run("workspace", "add", "acme")
    assert answer.exit_code == 78
    assert "has a workspace 'acme' already" in answer.stderr
    assert (home / "calstream.toml").read_text() == before


def test_comments_and_order_stay_when_a_workspace_is_added(home: Path) -> None:
    path = home / "calstream.toml"
    path.write_text(
        f"{COMMENT}[kafka]  # the broker\npartitions = 3\n\n"
        "[workspaces.one]\nregion = 'eu'\n\n# about sinks\n[sinks.crm]\ntype = 'hubspot'\n"
    )
    assert run("workspace", "add", "two", "--secret", "env:TWO").exit_code == 0
    assert path.read_text() == (
        f"{COMMENT}[kafka]  # the broker\npartitions = 3\n\n"
        "[workspaces.one]\nregion = 'eu'\n\n"
        '[workspaces.two]\nregion = "local"\ndefault_country = "US"\n'
        'pattern = "calendar_to_crm"\nsecrets.calendar_live = [{env = "TWO"}]\n\n'
        "# about sinks\n[sinks.crm]\ntype = 'hubspot'\n"
    )


def test_a_file_that_looks_like_headers_inside_a_text_is_added_to_at_its_end(home: Path) -> None:
    path = home / "calstream.toml"
    text = (
        "[workspaces.one]\nregion = 'eu'\n\n[sinks.crm]\ntype = 'hubspot'\n"
        "note = '''\n[workspaces.old]\n[gone]\n'''\n"
    )
    path.write_text(text)
    assert run("workspace", "add", "two", "--secret", "env:TWO").exit_code == 0
    assert path.read_text().startswith(text)
    assert set(load_settings(path).settings.workspaces) == {"one", "two"}


def test_a_file_that_takes_no_section_is_left_alone(home: Path) -> None:
    path = home / "calstream.toml"
    text = "workspaces = {}\n"
    path.write_text(text)
    answer = run("workspace", "add", "two", "--secret", "env:TWO")
    assert answer.exit_code == 78
    assert "[workspaces.two]" in answer.stderr
    assert path.read_text() == text


def test_a_wrong_value_leaves_the_file_as_it_was(home: Path) -> None:
    run("init")
    before = (home / "calstream.toml").read_text()
    answer = run("workspace", "add", "acme", "--default-country", "germany")
    assert answer.exit_code == 78
    assert "workspaces.acme.default_country" in answer.stderr
    assert (home / "calstream.toml").read_text() == before
    assert sorted(path.name for path in home.iterdir()) == ["calstream.toml", "state"]


def test_a_secret_itself_is_refused_on_the_command_line() -> None:
    run("init")
    answer = run("workspace", "add", "acme", "--secret", "hunter2")
    assert answer.exit_code == 2
    assert "never the secret itself" in answer.stderr
    assert "hunter2" not in answer.stderr


def test_several_secrets_get_labels_of_their_own(home: Path) -> None:
    run("init")
    assert run("workspace", "add", "acme", "--secret", "env:A", "--secret", "file:b").exit_code == 0
    secrets = load_settings(home / "calstream.toml").settings.workspaces["acme"].secrets
    first, second = secrets["calendar_live"]
    assert (first.env, first.label) == ("A", "default")
    assert (second.file, second.label) == (home / "b", "secret-2")


def test_a_secret_that_is_there_already_is_kept(home: Path) -> None:
    run("init")
    kept = home / "state" / "secrets" / "acme.calendar_live"
    kept.write_text("as it was\n")
    assert run("workspace", "add", "acme").exit_code == 0
    assert kept.read_text() == "as it was\n"


def test_without_a_file_there_is_nothing_to_add_to() -> None:
    answer = run("workspace", "add", "acme")
    assert answer.exit_code == 78
    assert "config-not-found" in answer.stderr


def test_workspaces_are_listed_with_the_address_for_their_sender(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run("init")
    run("workspace", "add", "acme")
    monkeypatch.setenv("CALSTREAM_INGEST__PUBLIC_URL", "https://hooks.example.com/")
    listed = json.loads(run("workspace", "list", "-o", "json").stdout)
    assert [each["name"] for each in listed] == ["acme"]
    assert listed[0]["webhook_addresses"] == [
        "https://hooks.example.com/v1/webhooks/acme/calendar_live"
    ]


def test_the_check_names_every_secret_that_can_not_be_read_and_every_wrong_sink(home: Path) -> None:
    (home / "calstream.toml").write_text(
        "[workspaces.acme.secrets]\n"
        "calendar_live = [{ env = 'NOT_SET' }]\n"
        "calender_live = [{ file = '/not/there' }]\n"
        "[sinks.one]\ntype = 'hubspt'\n"
        "[sinks.two]\ntype = 'hubspot'\nworkspaces = ['beta']\ntoken = { env = 'NOT_SET' }\n"
        "[sinks.three]\ntype = 'hubspot'\ntokn = 1\n"
    )
    answer = run("config", "check")
    assert answer.exit_code == 78
    for expected in (
        "the variable NOT_SET",
        "the file /not/there",
        "calender_live: there is no source of that name",
        "hubspt, which is not installed",
        "there is no workspace beta",
        "token of sink two",
        "sinks.three.tokn",
    ):
        assert expected in answer.stderr


def test_one_fault_keeps_its_own_code(home: Path) -> None:
    (home / "calstream.toml").write_text(
        "[workspaces.acme.secrets]\ncalendar_live = [{ env = 'NOT_SET' }]\n"
    )
    answer = run("config", "check", "-o", "json")
    assert answer.exit_code == 78
    assert json.loads(answer.stderr)["code"] == "secret-missing"


def test_every_value_is_shown_with_its_origin(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    monkeypatch.setenv("CALSTREAM_KAFKA__PARTITIONS", "12")
    shown = json.loads(run("config", "show", "--origin", "-o", "json").stdout)
    assert shown["kafka.partitions"] == {"value": 12, "origin": "CALSTREAM_KAFKA__PARTITIONS"}
    assert shown["ingest.listen"]["origin"] == str(home / "calstream.toml")
    assert shown["kafka.heap_megabytes"]["origin"] == "default"
    assert "pat-sandbox" not in json.dumps(shown)


@pytest.mark.parametrize(
    "before",
    [
        "[workspaces.acme]\nsecrets.calendar_live = [{ env = 'A' }]\n\n[sinks.x]\ntype = 'y'\n",
        "[workspaces.acme.secrets]\ncalendar_live = [{ env = 'A' }] # the first\n",
        "[workspaces.acme]\n[[workspaces.acme.secrets.calendar_live]]\nenv = 'A'\n# b\n[sinks]\n",
        "[workspaces.acme]\n",
    ],
)
def test_a_workspace_is_connected_to_a_further_source(home: Path, before: str) -> None:
    path = home / "calstream.toml"
    path.write_text(before)
    answer = run(
        "workspace", "connect", "acme", "stripe", "--secret", "env:S", "--secret", "file:/s"
    )
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout == "http://127.0.0.1:8080/v1/webhooks/acme/stripe\n"
    secrets = load_settings(path).settings.workspaces["acme"].secrets
    assert [(each.env, each.label) for each in secrets["stripe"]] == [
        ("S", "default"),
        (None, "secret-2"),
    ]
    assert path.read_text().startswith(before.partition("\n")[0])
    assert ("calendar_live" in secrets) == ("calendar_live" in before)


def test_what_can_not_be_connected_changes_nothing(home: Path) -> None:
    path = home / "calstream.toml"
    path.write_text("[workspaces.acme]\nsecrets.stripe = [{ env = 'A' }]\n")
    before = path.read_text()
    for words, told, status in (
        (("acme", "stripe", "--secret", "env:B"), "has secrets of stripe", 78),
        (("nobody", "zoom", "--secret", "env:B"), "has no workspace 'nobody'", 78),
        (("acme", "zoom"), "Secret Token", 2),
        (("acme", "fax", "--secret", "env:B"), "there is no source fax", 2),
    ):
        answer = run("workspace", "connect", *words)
        assert answer.exit_code == status
        assert told in " ".join(answer.stderr.replace("\u2502", " ").split())
        assert path.read_text() == before


def test_connecting_hubspot_tells_that_it_signs_the_address() -> None:
    run("init")
    run("workspace", "add", "acme")
    answer = run("workspace", "connect", "acme", "hubspot", "--secret", "env:H")
    assert "ingest.public_url" in answer.stderr


def test_a_source_of_our_own_secrets_is_connected_without_one(home: Path) -> None:
    (home / "calstream.toml").write_text("[workspaces.acme]\n")
    answer = run("workspace", "connect", "acme", "calendar_live", "-o", "json")
    assert Path(json.loads(answer.stdout)["secret_file"]).read_text()
