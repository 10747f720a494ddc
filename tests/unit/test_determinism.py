"""The same log and keys give the same bytes, whatever the batches, hash seeds and crashes."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.resolver_scene import (
    ResolverRun,
    a_busy_log,
    digest,
    encoded,
    keys_in,
)

from calstream_core.sealing import KeyStore
from calstream_schemas import refolds
from calstream_schemas.topics import AUDIT, CONFLICTS, ENTITIES, MATCH_REVIEWS

ROOT = Path(__file__).parents[2]
SLICE = 12
TOPICS = (ENTITIES, AUDIT, CONFLICTS, MATCH_REVIEWS)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("determinism")


@pytest.fixture(scope="module")
def keys(directory: Path) -> KeyStore:
    return keys_in(directory)


@pytest.fixture(scope="module")
def log(directory: Path, keys: KeyStore) -> list[bytes]:
    found = encoded(keys, a_busy_log(["acme", "zeta"], bookings=16))
    (directory / "log").write_text("\n".join(each.hex() for each in found))
    return found


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refolds, "SLICE_ENTITIES", SLICE)


@pytest.fixture(scope="module")
def once(keys: KeyStore, log: list[bytes]) -> ResolverRun:
    """A run without any crash."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refolds, "SLICE_ENTITIES", SLICE)
        return ResolverRun(keys, log).run()


def _digests(run: ResolverRun) -> dict[str, str]:
    return {topic.name: digest(run.written[topic.name]) for topic in TOPICS}


def test_the_log_has_what_the_test_is_about(once: ResolverRun, log: list[bytes]) -> None:
    assert len(once.log) > len(log) + 10, "refolds went on by way of the log"
    assert all(once.written[topic.name] for topic in (ENTITIES, AUDIT, CONFLICTS))
    assert any(entity.merge for entity in once.entities().values())
    assert {"versions", "unchanged", "duplicate"} <= {n for each in once.outcomes for n in each}


def test_hash_seeds_and_batch_sizes_change_no_byte(once: ResolverRun, directory: Path) -> None:
    runs = []
    for seed, batch_records in (("1", 1), ("2", 7), ("random", 5000)):
        arguments = [str(directory), str(batch_records), str(SLICE)]
        runs.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.unit.resolver_scene", *arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": seed},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    for run in runs:
        answer, _ = run.communicate(timeout=120)
        assert run.returncode == 0
        found = json.loads(answer.splitlines()[-1])
        assert {t.name: found.get(t.name, digest([])) for t in TOPICS} == _digests(once)


@pytest.mark.parametrize("seed", range(2))
def test_crashes_at_any_moment_change_no_byte(
    once: ResolverRun, keys: KeyStore, log: list[bytes], seed: int
) -> None:
    chance = random.Random(seed)
    run = ResolverRun(keys, log)
    while run.position < len(run.log):
        run.step(chance.choice([1, 3, 20, 90]), commit=chance.random() < 0.8)
        if chance.random() < 0.2:
            run.restart()
    assert _digests(run) == _digests(once)
    assert run.log == once.log


def test_a_replay_of_what_the_log_has_become_gives_the_same(
    once: ResolverRun, keys: KeyStore
) -> None:
    again = ResolverRun(keys, once.log).run(33)
    assert _digests(again) == _digests(once)
