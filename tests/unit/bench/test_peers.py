"""The peers' environment is made once, whole or not at all."""

import subprocess
from pathlib import Path

import pytest

from calstream_core.errors import UnavailableError
from calstream_ops.bench.peers.environment import LOCK_PATH, install_peers, locked_versions
from calstream_ops.bench.peers.kafka_streams import LOCK_PATH as STREAMS_LOCK
from calstream_ops.stack.jar_lock import read_lock

HASH = "0" * 64


def test_an_environment_is_made_once_and_anew_when_the_lock_changes(tmp_path: Path) -> None:
    lock, said = tmp_path / "peers.txt", list[str]()
    lock.write_text("# nothing\n")
    python = install_peers(tmp_path, said.append, lock)
    assert subprocess.run([python, "-c", "pass"], check=False).returncode == 0
    kept = python.parents[1] / "kept"
    kept.touch()
    assert install_peers(tmp_path, said.append, lock) == python
    assert kept.exists()
    assert len(said) == 1
    lock.write_text("# nothing else\n")
    install_peers(tmp_path, said.append, lock)
    assert not kept.exists()


def test_a_lock_that_can_t_be_installed_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = tmp_path / "peers.txt"
    lock.write_text(f"no-such-package==1.0 --hash=sha256:{HASH}\n")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="no-such-package"):
            install_peers(tmp_path, lambda _line: None, lock)


def test_without_a_checkout_there_are_no_peers(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="checkout"):
        install_peers(tmp_path, lambda _line: None, tmp_path / "none.txt")


def test_the_peers_are_the_versions_that_are_to_be_beaten() -> None:
    versions = locked_versions()
    assert versions["faust-streaming"] == "0.15.3"
    assert versions["quixstreams"] == "3.28.1"
    assert {"uvloop", "cramjam", "rocksdict", "confluent-kafka"} <= versions.keys()
    assert LOCK_PATH.read_text("utf-8").count("--hash=sha256:") > len(versions)


def test_kafka_streams_is_locked_with_a_client_of_its_own_version() -> None:
    lock = read_lock(STREAMS_LOCK)
    versions = {jar.artifact: jar.version for jar in lock.jars}
    assert versions["kafka-clients"] == versions["kafka-streams"] == lock.kafka_version
    assert "rocksdbjni" in versions
