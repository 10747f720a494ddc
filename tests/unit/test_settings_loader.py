"""Settings: precedence, origins, and errors that say what to do."""

from pathlib import Path
from typing import Any

import pytest

from calstream_core.errors import Code, ConfigError
from calstream_core.settings import SecretReference, load_settings, read_secret


def _file(folder: Path, text: str) -> Path:
    file = folder / "calstream.toml"
    file.write_text(text)
    return file


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    file = _file(tmp_path, "[kafka]\npartitions = 12\nreplication_factor = 3\n")
    loaded = load_settings(file, {"CALSTREAM_KAFKA__PARTITIONS": "24"})
    assert (loaded.settings.kafka.partitions, loaded.settings.kafka.replication_factor) == (24, 3)
    assert loaded.origin("kafka.partitions") == "CALSTREAM_KAFKA__PARTITIONS"
    assert loaded.origin("kafka.replication_factor") == str(file)
    assert loaded.origin("ingest.listen") == "default"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[kafka]\npartition = 3\n", "kafka.partition: unknown key; did you mean partitions?"),
        ("[kafak]\n", "kafak: unknown key; did you mean kafka?"),
        ("[workspaces.acme]\ndefault_contry = 'US'\n", "did you mean default_country?"),
        ("[kafka]\npartitions = 'many'\n", "kafka.partitions"),
        ("[ingest]\nlisten = '8080'\n", "HOST:PORT"),
        ("[workspaces.Acme]\n", "workspaces.Acme"),
        ("[workspaces.acme]\ndefault_country = 'usa'\n", "default_country"),
        ("[sinks.hubspot]\nbase_url = 'x'\n", "sinks.hubspot.type"),
        ("[workspaces.acme.secrets]\ncalendar_live = [{ label = 'a' }]\n", "exactly one"),
        ("[workspaces.acme.secrets]\ncalendar_live = ['s3cret']\n", "calendar_live"),
        ("[kafka\n", "not TOML"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(_file(tmp_path, text), {})
    assert caught.value.code is Code.CONFIG_INVALID
    assert told in caught.value.message


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(_file(tmp_path, "[kafka]\npartition = 1\n[ingset]\n"), {})
    assert "kafka.partition" in caught.value.message
    assert "ingset" in caught.value.message


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "nothing.toml", {})
    assert caught.value.code is Code.CONFIG_NOT_FOUND


def test_without_a_file_the_defaults_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environment={}).path is None


def test_a_variable_below_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="goes below partitions"):
        load_settings(
            environment={
                "CALSTREAM_KAFKA__PARTITIONS": "3",
                "CALSTREAM_KAFKA__PARTITIONS__MORE": "3",
            }
        )


def test_a_secret_is_read_where_its_reference_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("  s3cret\n")
    monkeypatch.setenv("SOME_SECRET", "other")
    assert read_secret(SecretReference(file=tmp_path / "secret"), "a test") == b"s3cret"
    assert read_secret(SecretReference(env="SOME_SECRET"), "a test") == b"other"


@pytest.mark.parametrize("reference", [{"file": "/nowhere/secret"}, {"env": "NOT_SET_ANYWHERE"}])
def test_a_missing_secret_says_what_it_is_for(reference: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="the webhook") as caught:
        read_secret(SecretReference(**reference), "the webhook")
    assert caught.value.code is Code.SECRET_MISSING


def test_a_fault_of_the_environment_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="CALSTREAM_KAFKA__PARTITION\\)"):
        load_settings(environment={"CALSTREAM_KAFKA__PARTITION": "3"})
