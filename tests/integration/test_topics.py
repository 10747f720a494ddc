"""Topics on a real broker: made once, checked for good."""

import json
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from typer.testing import CliRunner, Result

from calstream_ops.cli.root import app

pytestmark = pytest.mark.broker

NAMES = {
    "webhooks",
    "webhooks.rejected",
    "observations",
    "entities",
    "resolver.state",
    "conflicts",
    "match-reviews",
    "audit",
    "processors.dead",
    "sink.crm.ledger",
    "sink.crm.dead",
}


@pytest.fixture(autouse=True)
def prefix(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Settings for the shared broker, with topics of the test's own."""
    own = f"topics-{uuid.uuid4().hex[:8]}."
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALSTREAM_CONFIG", raising=False)
    monkeypatch.setenv("CALSTREAM_STATE__DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("CALSTREAM_KAFKA__BOOTSTRAP_SERVERS", broker)
    monkeypatch.setenv("CALSTREAM_KAFKA__TOPIC_PREFIX", own)
    monkeypatch.setenv("CALSTREAM_KAFKA__PARTITIONS", "2")
    monkeypatch.setenv("CALSTREAM_SINKS__CRM__TYPE", "hubspot")
    return own


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["topic", *words, "-o", "json"])


def alter(broker: str, topic: str, **settings: str) -> None:
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    admin.incremental_alter_configs([resource])[resource].result(20)


def test_creating_twice_makes_each_topic_once(prefix: str) -> None:
    first = json.loads(run("create").stdout)["topics"]
    assert first == {f"{prefix}{name}": "created" for name in NAMES}
    second = json.loads(run("create").stdout)["topics"]
    assert second == {f"{prefix}{name}": "present" for name in NAMES}


def test_topics_just_made_pass_the_check() -> None:
    run("create")
    answer = run("check")
    assert answer.exit_code == 0
    assert json.loads(answer.stdout) == {"ok": True, "differences": []}


def test_a_topic_that_somebody_altered_is_found_and_mended(broker: str, prefix: str) -> None:
    run("create")
    alter(broker, f"{prefix}entities", cleanup_policy="delete", retention_ms="1000")
    answer = run("check")
    assert answer.exit_code == 1
    assert json.loads(answer.stderr)["code"] == "topics-differ"
    assert json.loads(answer.stdout)["differences"] == [
        {
            "topic": f"{prefix}entities",
            "setting": "cleanup.policy",
            "wanted": "compact",
            "found": "delete",
        },
        {
            "topic": f"{prefix}entities",
            "setting": "retention.ms",
            "wanted": "-1",
            "found": "1000",
        },
    ]
    mended = json.loads(run("create", "--alter").stdout)["topics"]
    assert mended.pop(f"{prefix}entities") == "altered"
    assert set(mended.values()) == {"present"}
    assert run("check").exit_code == 0


def test_missing_topics_are_found(prefix: str) -> None:
    answer = run("check")
    assert answer.exit_code == 1
    found = json.loads(answer.stdout)["differences"]
    assert {each["topic"] for each in found} == {f"{prefix}{name}" for name in NAMES}
    assert {each["found"] for each in found} == {"missing"}


def test_a_wrong_number_of_partitions_is_found_and_can_not_be_mended(
    broker: str, prefix: str
) -> None:
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    topic = f"{prefix}observations"
    admin.create_topics([NewTopic(topic, 5, 1)])[topic].result(20)
    run("create", "--alter")
    answer = run("check")
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["differences"] == [
        {"topic": topic, "setting": "partitions", "wanted": "2", "found": "5"}
    ]
    assert "kafka.partitions" in json.loads(answer.stderr)["hint"]


def test_more_replicas_than_brokers_is_an_error_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CALSTREAM_KAFKA__REPLICATION_FACTOR", "3")
    answer = run("create")
    assert answer.exit_code == 78
    error = json.loads(answer.stderr)
    assert error["code"] == "config-invalid"
    assert "kafka.replication_factor" in error["hint"]


def test_the_list_says_what_each_topic_is_for(prefix: str) -> None:
    run("create")
    listed = {each["topic"]: each for each in json.loads(run("list").stdout)}
    assert listed[f"{prefix}entities"] == {
        "topic": f"{prefix}entities",
        "offsets": 0,
        "partitions": 2,
        "cleanup": "compact",
        "retention_days": None,
        "key": "workspace/kind/id",
        "holds": "one record per kind",
    }


def test_a_broker_that_is_not_there_is_status_69(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALSTREAM_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    answer = run("check")
    assert answer.exit_code == 69
    assert json.loads(answer.stderr)["code"] == "broker-unavailable"
