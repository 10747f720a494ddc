"""The same log and key store give the same bytes, by one worker or by two that are killed.

And what the audit says of it: verified, shown, and found out when somebody meddles with it.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.integration.pipeline.conftest import Install, Installation, Process, eventually
from tests.unit.resolver_scene import NOW, a_busy_log, digest, encoded
from typer.testing import CliRunner

from calstream_core.sealing import open_keys
from calstream_core.settings import Pattern
from calstream_engine.records import Headers
from calstream_ops.cli.root import app
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.rules_log import RulesLog
from calstream_ops.stack.ports import remembered_ports
from calstream_processors.resolve.ownership import PATTERNS
from calstream_schemas import codec
from calstream_schemas.codec import Decoded
from calstream_schemas.observations import Observation, rules_changed
from calstream_schemas.topics import (
    AUDIT,
    CONFLICTS,
    ENTITIES,
    MATCH_REVIEWS,
    OBSERVATIONS,
    RESOLVER_STATE,
)

pytestmark = pytest.mark.broker

WORKSPACES = ("acme", "zeta", "gamma")
TOPICS = (ENTITIES, AUDIT, CONFLICTS, MATCH_REVIEWS)


@dataclass(frozen=True)
class Resolved:
    """An installation whose resolver has done all there was."""

    installation: Installation
    observed: list[Observation]
    log: list[bytes]
    digests: dict[str, str]


def _digests(installation: Installation) -> dict[str, str]:
    """A hash over keys, values and headers of each topic, in the order of each key."""
    found = {}
    for topic in TOPICS:
        records = installation.records(topic)
        found[topic.name] = digest([(r.key(), r.value(), _headers(r)) for r in records])
    return found


def _headers(record: Message) -> Headers:
    return [
        (n, v if isinstance(v, bytes) else b"") for n, v in dict(record.headers() or ()).items()
    ]


def _last_rules() -> list[Observation]:
    return [rules_changed(n, PATTERNS[Pattern.TWO_WAY], "last", NOW + 9) for n in WORKSPACES]


def _fill(installation: Installation, log: Sequence[bytes], names: Sequence[str]) -> None:
    for name, raw in zip(names, log, strict=True):
        at = installation.partition(name)
        installation.put(OBSERVATIONS, name.encode(), raw, partition=at)
    installation.flush()


def _until_done(installation: Installation) -> None:
    """Waits until the last rules are in force everywhere and all is folded by them."""
    with LogReader(installation.bootstrap_servers) as reader:
        log = RulesLog(reader, installation.kafka)

        def is_done() -> bool:
            log.read()
            return all(log.is_done(each) for each in _last_rules())

        eventually(is_done)


def _worker(installation: Installation, root: Path, seed: str) -> Process:
    port = remembered_ports(root / f"ports-{seed}.json", ("worker",))["worker"]
    return installation.processors.another(port, PYTHONHASHSEED=seed)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("same-bytes")


@pytest.fixture(scope="module")
def once(broker: str, install: Install, root: Path) -> Resolved:
    """One worker, without a crash. The last rules take several slices in the first workspace."""
    installation = install(broker, *WORKSPACES)
    observed = a_busy_log(WORKSPACES[:1], bookings=160)
    observed += a_busy_log(WORKSPACES[1:], bookings=14)
    observed += _last_rules()
    log = encoded(installation.keys, observed)
    _fill(installation, log, [each.workspace for each in observed])
    worker = _worker(installation, root, "1")
    try:
        worker.start()
        _until_done(installation)
        assert worker.stop() == 0
    finally:
        worker.close()
    return Resolved(installation, observed, log, _digests(installation))


def _with_the_keys_of(installation: Installation, other: Installation) -> None:
    ours, theirs = (each.settings.state.directory for each in (installation, other))
    shutil.copytree(theirs / "keys", ours / "keys", dirs_exist_ok=True)
    for file in theirs.glob("calstream.db*"):
        shutil.copy(file, ours / file.name)
    installation.keys = open_keys(installation.settings)


def test_two_workers_that_are_killed_write_the_same_bytes_as_one(
    broker: str, install: Install, root: Path, once: Resolved
) -> None:
    installation = install(broker, *WORKSPACES)
    _with_the_keys_of(installation, once.installation)
    _fill(installation, once.log, [each.workspace for each in once.observed])
    workers = [_worker(installation, root, seed) for seed in ("2", "random")]
    try:
        for worker in workers:
            worker.start()
        whole = once.installation.end(ENTITIES)
        for worker in (*workers, workers[0]):
            wanted = min(installation.end(ENTITIES) + 1, whole)
            eventually(partial(_has, installation, wanted))
            worker.kill()
            worker.start()
        _until_done(installation)
    finally:
        for worker in workers:
            worker.close()
    assert _digests(installation) == once.digests
    assert installation.end(OBSERVATIONS) == once.installation.end(OBSERVATIONS)
    assert installation.end(OBSERVATIONS) > len(once.log), "the last refold took several slices"


def _has(installation: Installation, versions: int) -> bool:
    return installation.end(ENTITIES) >= versions


def _run(installation: Installation, *words: str, status: int = 0) -> Any:
    words = (*words, "--config", str(installation.file), "-o", "json")
    answer = CliRunner().invoke(app, list(words))
    assert answer.exit_code == status, (answer.stderr, answer.stdout)
    return json.loads(answer.stdout or answer.stderr)


def test_the_audit_of_a_run_is_verified_and_an_entity_s_history_is_shown(once: Resolved) -> None:
    installation = once.installation
    found = _run(installation, "audit", "verify")
    assert found["ok"]
    assert found["faults"] == []
    assert sum(each["entries"] for each in found["chains"]) == installation.end(AUDIT)
    assert all(each["first"] == 1 for each in found["chains"])
    versions = installation.versions()
    merged = next(its[-1] for its in versions.values() if its[-1].merge)
    shown = _run(installation, "audit", "show", merged.key)
    assert [each["version"] for each in shown["history"] if each["version"]] == [
        each.version for each in versions[merged.key]
    ]
    assert any("ops-7 decided that" in each["told"] for each in shown["history"])
    words = ["audit", "show", merged.key, "--config", str(installation.file)]
    answer = CliRunner().invoke(app, words)
    assert "first heard of" in answer.stdout
    missing = f"acme/contact/{'0' * 8}-0000-5000-8000-{'0' * 12}"
    assert _run(installation, "audit", "show", missing, status=65)["code"] == "entity-not-found"


Meddle = Callable[[list[bytes]], list[bytes]]


def _removed_and_truncated(values: list[bytes]) -> list[bytes]:
    return [*values[:20], *values[21:-3]]


def _changed(values: list[bytes]) -> list[bytes]:
    decoded = codec.decode(values[20])
    assert isinstance(decoded, Decoded)
    other = codec.encode("AuditEntry", {**decoded.body, "decided_by": "nobody"})
    return [*values[:20], other, *values[21:]]


def _reordered(values: list[bytes]) -> list[bytes]:
    return [*values[:20], values[21], values[20], *values[22:]]


def _copy(source: Installation, target: Installation, meddle: Mapping[str, Meddle]) -> None:
    """Copies the audit and what is kept of it, with the chains of some workspaces meddled with."""
    for record in source.records(RESOLVER_STATE):
        if (record.key() or b"").startswith(b"~audit/"):
            at = record.partition()
            target.put(RESOLVER_STATE, record.key(), record.value(), partition=at)
    audit = source.records(AUDIT)
    for name in WORKSPACES:
        at = source.partition(name)
        values = [record.value() or b"" for record in audit if record.partition() == at]
        for value in meddle[name](values) if name in meddle else values:
            target.put(AUDIT, name.encode(), value, partition=at)
    target.flush()


def test_meddling_with_real_entries_is_found_with_the_offset(
    broker: str, install: Install, once: Resolved
) -> None:
    installation = install(broker, *WORKSPACES)
    meddle: dict[str, Meddle] = {
        "acme": _removed_and_truncated,
        "zeta": _changed,
        "gamma": _reordered,
    }
    _copy(once.installation, installation, meddle)
    found = _run(installation, "audit", "verify", status=1)
    assert not found["ok"]
    left = [r for r in installation.records(AUDIT) if r.partition() == _at("acme", installation)]
    assert {(each["fault"], each["partition"], each["offset"]) for each in found["faults"]} == {
        ("removed", _at("acme", installation), 20),
        ("truncated", _at("acme", installation), len(left) - 1),
        ("changed", _at("zeta", installation), 20),
        ("reordered", _at("gamma", installation), 21),
    }
    answer = CliRunner().invoke(app, ["audit", "verify", "--config", str(installation.file)])
    assert answer.exit_code == 1
    assert (
        f"partition {_at('zeta', installation)}, offset 20: entry 21 was changed" in answer.stdout
    )


def _at(workspace: str, installation: Installation) -> int:
    return installation.partition(workspace)


def test_what_retention_dropped_is_no_fault_but_a_report_that_was_kept_tells_of_the_rest(
    broker: str, install: Install, once: Resolved, tmp_path: Path
) -> None:
    installation = install(broker, *WORKSPACES)
    partition = _at("acme", installation)
    _copy(once.installation, installation, {})
    kept = tmp_path / "report.json"
    assert _run(installation, "audit", "verify", "--report", str(kept))["ok"]
    place = TopicPartition(installation.name(AUDIT), partition, 30)
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    for done in admin.delete_records([place]).values():
        done.result(20)
    after = _run(installation, "audit", "verify", "--against", str(kept))
    assert after["ok"]
    (chain,) = [each for each in after["chains"] if each["partition"] == partition]
    assert chain["first"] == 31
    # both the topic and the state were rewritten from the beginning: only the report knows
    other = install(broker, *WORKSPACES)
    assert _run(other, "audit", "verify")["ok"]
    found = _run(other, "audit", "verify", "--against", str(kept), status=1)
    assert {each["fault"] for each in found["faults"]} == {"truncated"}
    kept.write_text("{}")
    assert _run(other, "audit", "verify", "--against", str(kept), status=78)["code"] == (
        "config-invalid"
    )
