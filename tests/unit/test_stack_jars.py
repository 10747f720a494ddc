"""The locked jars: no file is used that is not the one that was locked."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from calstream_core.errors import Code, ConfigError, SecurityError, UnavailableError
from calstream_ops.stack.jar_lock import JarLock, LockedJar, read_lock
from calstream_ops.stack.jars import install_jars, installed_jars

CONTENT = {"kafka_2.13": b"kafka", **{f"part{number}": b"jar %d" % number for number in range(6)}}
LOCK = JarLock(
    tuple(
        LockedJar("org.example", name, "1.0", hashlib.sha256(content).hexdigest())
        for name, content in CONTENT.items()
    )
)


class Repository:
    """Serves jars, counts what is asked for, and can be told to serve something else."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.content = dict(CONTENT)
        self._lock = threading.Lock()

    def fetch(self, jar: LockedJar, scratch: Path) -> Path:
        with self._lock:
            self.served.append(jar.artifact)
        path = scratch / jar.file_name
        path.write_bytes(self.content[jar.artifact])
        return path


def install(directory: Path, repository: Repository, said: list[str] | None = None) -> list[Path]:
    say = (said if said is not None else []).append
    return install_jars(say, directory=directory, lock=LOCK, fetch=repository.fetch)


def test_the_first_run_brings_every_jar_and_tells_how_far_it_is(tmp_path: Path) -> None:
    said: list[str] = []
    paths = install(tmp_path, Repository(), said)
    assert [path.name for path in paths] == [jar.file_name for jar in LOCK.jars]
    assert all(path.is_file() for path in paths)
    assert said == ["Kafka 1.0: 7 jars to download", "7 of 7 jars, 0.0 MB"]


def test_a_second_run_downloads_nothing_and_says_nothing(tmp_path: Path) -> None:
    install(tmp_path, Repository())
    again, said = Repository(), list[str]()
    install(tmp_path, again, said)
    assert again.served == said == []


def test_only_a_damaged_jar_is_brought_again(tmp_path: Path) -> None:
    damaged = install(tmp_path, Repository())[3]
    damaged.write_bytes(b"bit rot")
    again = Repository()
    install(tmp_path, again)
    assert again.served == ["part2"]
    assert damaged.read_bytes() == CONTENT["part2"]


def test_a_jar_that_is_not_the_locked_one_is_refused_and_not_kept(tmp_path: Path) -> None:
    repository = Repository()
    repository.content["part3"] = b"something else"
    with pytest.raises(SecurityError) as raised:
        install(tmp_path, repository)
    assert raised.value.code is Code.CHECKSUM_DIFFERS
    assert "org.example:part3:1.0" in raised.value.message
    assert not (tmp_path / "part3-1.0.jar").exists()
    assert not list(tmp_path.glob("download-*")), "scratch files are left"


def test_after_a_refusal_the_directory_does_not_count_as_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "share" / "calstream" / "kafka"
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    install(directory, Repository())
    assert len(installed_jars(LOCK)) == len(LOCK.jars)
    (directory / "part1-1.0.jar").unlink()
    with pytest.raises(ConfigError) as raised:
        installed_jars(LOCK)
    assert raised.value.code is Code.KAFKA_JARS_MISSING
    repository = Repository()
    repository.content["part1"] = b"something else"
    with pytest.raises(SecurityError):
        install(directory, repository)
    (directory / "part1-1.0.jar").write_bytes(b"something else")
    with pytest.raises(ConfigError):
        installed_jars(LOCK)


def test_jars_that_are_no_longer_locked_are_removed(tmp_path: Path) -> None:
    (tmp_path / "kafka-old-3.9.jar").write_bytes(b"old")
    paths = install(tmp_path, Repository())
    assert sorted(tmp_path.glob("*.jar")) == sorted(paths)


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository on the loopback address, named in jgo's configuration file."""
    root = tmp_path / "repository"
    root.mkdir()
    handler = functools.partial(QuietHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        config = tmp_path / "jgo.conf"
        config.write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield root
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


def test_jars_come_from_the_repository_that_jgo_is_configured_for(
    maven: Path, tmp_path: Path
) -> None:
    for jar in LOCK.jars:
        place = maven / "org" / "example" / jar.artifact / "1.0" / jar.file_name
        place.parent.mkdir(parents=True)
        place.write_bytes(CONTENT[jar.artifact])
    paths = install_jars(list[str]().append, directory=tmp_path / "jars", lock=LOCK)
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert not (tmp_path / "home").exists(), "a second copy is left outside"


def test_when_no_repository_answers_the_jar_is_named_and_a_mirror_proposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "jgo.conf"
    config.write_text("[repositories]\ncentral = http://127.0.0.1:1\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
    with pytest.raises(UnavailableError, match=r"org\.example:\S+ can't be downloaded") as raised:
        install_jars(list[str]().append, directory=tmp_path / "jars", lock=LOCK)
    assert raised.value.code is Code.KAFKA_JARS_MISSING
    assert "mirror" in raised.value.hint


def test_the_committed_lock_names_the_broker_and_a_log_binding_with_checksums() -> None:
    lock = read_lock()
    names = [jar.artifact for jar in lock.jars]
    assert {"kafka_2.13", "kafka-clients", "log4j-core", "log4j-slf4j-impl"} <= set(names)
    assert len({jar.file_name for jar in lock.jars}) == len(lock.jars)
    assert lock.kafka_version.startswith("4.")
    assert not [name for name in names if "rocksdb" in name or "streams" in name]


def test_the_locked_kafka_is_none_that_forgets_the_ends_of_transactions() -> None:
    """Since 4.2 it does (KAFKA-20734); 4.4.0 was seen to: see test_broker_transactions."""
    major, minor, _patch = read_lock().kafka_version.split(".")
    assert (int(major), int(minor)) < (4, 2)


def test_a_lock_with_a_jar_without_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lock.toml"
    path.write_text(
        '[[dependencies]]\ngroupId = "g"\nartifactId = "a"\nversion = "1"\nsha256 = ""\n', "utf-8"
    )
    with pytest.raises(ConfigError, match=r"no SHA-256 for g:a:1"):
        read_lock(path)


@pytest.mark.parametrize("text", ["not toml", "", '[[dependencies]]\ngroupId = "g"\n'])
def test_what_is_no_lock_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="is not a lock file"):
        read_lock(path)
