"""The root of the command line: help, global options, errors and exit statuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner, Result

from calstream_ops.cli.root import COMMANDS, app, split_global_options
from calstream_ops.cli.terminal import printable, shown

HEAVY = ("confluent_kafka", "httpx", "pydantic", "structlog", "tomlkit", "calstream_sinks")
GLOBAL_OPTIONS = {"-o", "--output", "--config", "-q", "--quiet", "-v", "--verbose", "--no-color"}


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="calstream")


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALSTREAM_CONFIG", raising=False)
    monkeypatch.setenv("CALSTREAM_STATE__DIRECTORY", str(tmp_path / "state"))
    return tmp_path


def test_the_help_names_every_command_and_loads_none() -> None:
    program = (
        "import sys; from calstream_ops.cli import main\n"
        "sys.argv = ['calstream', '--help']\n"
        "try: main()\n"
        f"finally: sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not answer.stderr
    for name in COMMANDS:
        assert f" {name} " in answer.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_summarised_in_its_own_words(name: str) -> None:
    assert (COMMANDS[name].load().help or "").partition("\n")[0] == COMMANDS[name].summary


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_has_an_option_of_a_global_one_s_name(name: str) -> None:
    command = COMMANDS[name].load()
    every = command.commands.values() if isinstance(command, TyperGroup) else [command]
    for each in every:
        own = {spelling for param in each.params for spelling in param.opts}
        assert not own & GLOBAL_OPTIONS


def test_every_command_shows_examples_and_its_help_ends_well() -> None:
    for name, entry in COMMANDS.items():
        command = entry.load()
        commands = command.commands if isinstance(command, TyperGroup) else {"": command}
        for verb, each in commands.items():
            answer = run(*filter(None, (name, verb)), "--help")
            assert answer.exit_code == 0
            if (name, verb) != ("workspace", "list"):
                assert f"calstream {name}" in (each.help or "")


def test_the_version_is_an_answer() -> None:
    answer = run("--version")
    assert answer.exit_code == 0
    assert answer.stdout.startswith("calstream ")


def test_an_unknown_command_gets_a_suggestion_and_status_2() -> None:
    answer = run("statsu")
    assert answer.exit_code == 2
    assert "Did you mean 'status'?" in answer.stderr
    assert not answer.stdout


def test_an_unknown_option_in_json_is_one_object_on_standard_error() -> None:
    answer = run("topic", "check", "--wat", "-o", "json")
    assert answer.exit_code == 2
    assert json.loads(answer.stderr)["code"] == "usage"
    assert not answer.stdout


def test_an_unknown_kind_of_output_is_refused() -> None:
    answer = run("config", "check", "-o", "yaml")
    assert answer.exit_code == 2
    assert "yaml" in answer.stderr


def test_an_error_is_one_block_with_what_to_do_and_its_code() -> None:
    answer = run("config", "check", "--config", "none.toml")
    assert answer.exit_code == 78
    assert answer.stderr == (
        "error: There is no settings file none.toml.\n"
        "  hint: `calstream init` writes one.\n"
        "  code: config-not-found, see docs/errors.md\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "json", "config", "check", "--config=none.toml"),
        ("config", "--output=json", "check", "--config", "none.toml"),
        ("--config", "none.toml", "config", "check", "-ojson"),
    ],
)
def test_global_options_may_stand_anywhere(words: tuple[str, ...]) -> None:
    answer = run(*words)
    assert answer.exit_code == 78
    assert json.loads(answer.stderr) == {
        "code": "config-not-found",
        "message": "There is no settings file none.toml.",
        "hint": "`calstream init` writes one.",
    }


def test_what_follows_two_dashes_is_no_option() -> None:
    assert split_global_options(["a", "-q", "--", "-v"]) == (["-q"], ["a", "--", "-v"])


def test_verbose_errors_say_where_they_come_from() -> None:
    answer = run("config", "check", "--config", "none.toml", "-v")
    assert answer.exit_code == 78
    assert "Traceback" in answer.stderr


def test_a_plural_is_taken_for_its_singular() -> None:
    assert run("workspaces", "list").exit_code == 0


def test_nothing_running_is_status_69() -> None:
    answer = run("status", "-o", "json")
    assert answer.exit_code == 69
    assert json.loads(answer.stderr)["code"] == "stack-not-running"


def test_down_where_nothing_runs_is_no_error() -> None:
    answer = run("down", "-o", "json")
    assert answer.exit_code == 0
    assert json.loads(answer.stdout) == {"stopped": False}


def test_what_others_wrote_can_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\nc"
    assert "\n" not in shown("one\ntwo")
    assert "\x9b" not in shown("\x9b31m")


def test_the_root_is_what_the_console_script_runs() -> None:
    assert get_command(app).name == "calstream"
