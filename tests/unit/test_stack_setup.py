"""The set-up: what it refuses and advises, and that its locks hold what the project needs."""

import importlib.util
import json
import os
import platform
import re
import shutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "deploy/install/setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def locked(name: str) -> dict[str, str]:
    text = (ROOT / "deploy" / "locks" / name).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def project() -> dict[str, list[str]]:
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {"runtime": tree["project"]["dependencies"], "dev": tree["dependency-groups"]["dev"]}


@pytest.mark.parametrize(
    ("lock", "group"), [("runtime.txt", "runtime"), ("dev.txt", "runtime"), ("dev.txt", "dev")]
)
def test_every_dependency_is_locked_at_a_version_it_allows(lock: str, group: str) -> None:
    versions = locked(lock)
    for requirement in map(Requirement, project()[group]):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {lock}: run `make locks`"
        assert requirement.specifier.contains(version), f"{requirement} but {version} in {lock}"


def test_the_locks_agree_with_each_other() -> None:
    dev = locked("dev.txt")
    for lock in ("runtime.txt", "build.txt"):
        shared = {name: version for name, version in locked(lock).items() if name in dev}
        assert shared
        assert shared == {name: dev[name] for name in shared}


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt", "build.txt", "java.txt"])
def test_every_locked_package_has_hashes_and_no_lock_names_a_place(lock: str) -> None:
    text = (ROOT / "deploy" / "locks" / lock).read_text("utf-8")
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block


def test_a_python_that_is_too_old_is_told_so_with_a_way_out(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(setup.SetupError, match=r"needs Python 3\.11 or newer.*make PYTHON="):
        setup.check_system()


def test_a_python_without_ensurepip_names_the_package_to_install(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ensurepip" else real(name)
    )
    with pytest.raises(
        setup.SetupError, match=r"it has no ensurepip.*apt install python3\.\d+-venv"
    ):
        setup.check_system()


@pytest.mark.parametrize(
    ("place", "package", "tool"),
    [
        (("Linux", "aarch64"), "faust-streaming", "a C compiler"),
        (("Darwin", "x86_64"), "cryptography", "Rust"),
    ],
)
def test_where_a_package_must_be_compiled_the_missing_compiler_is_named(
    setup: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, str],
    package: str,
    tool: str,
) -> None:
    monkeypatch.setattr(platform, "system", lambda: place[0])
    monkeypatch.setattr(platform, "machine", lambda: place[1])
    monkeypatch.setattr(shutil, "which", lambda _command: None)
    with pytest.raises(setup.SetupError, match=f"{package} has no wheel") as raised:
        setup.check_system()
    assert tool in str(raised.value)


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "locked"),
        ("WARNING: Retrying ... NewConnectionError('<pip._vendor...", "Check the network"),
        ("ERROR: No matching distribution found for six==1.17.0", "pip config list"),
        ("error: subprocess-exited-with-error", "C compiler"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
    ],
)
def test_a_failure_of_pip_comes_with_what_to_do(
    setup: ModuleType, output: str, advice: str
) -> None:
    assert advice in setup.advice_on(output)


def test_a_command_that_fails_shows_its_last_lines_and_one_that_works_nothing(
    setup: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    setup.run([sys.executable, "-c", "print('fine')"], setup.ignore, "That")
    assert capfd.readouterr() == ("", "")
    failing = "for n in range(40): print('line', n)\nraise SystemExit(1)"
    with pytest.raises(setup.SetupError, match=r"(?s)line 39.*That could not be inst") as raised:
        setup.run([sys.executable, "-c", failing], setup.ignore, "That")
    assert "line 9\n" not in str(raised.value)


def test_the_stamp_counts_only_for_the_same_inputs_and_a_java_that_is_there(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "locks"
    shutil.copytree(setup.LOCKS, locks)
    monkeypatch.setattr(setup, "LOCKS", locks)
    stamp, java = tmp_path / "stamp.json", tmp_path / "java"
    java.touch()
    made = setup.fingerprint(tmp_path)
    assert not setup.is_up_to_date(stamp, made), "nothing was made yet"
    stamp.write_text(json.dumps({"fingerprint": made, "java": str(java)}), "utf-8")
    assert setup.is_up_to_date(stamp, setup.fingerprint(tmp_path))
    with (locks / "runtime.txt").open("a", encoding="utf-8") as lock:
        lock.write("# changed\n")
    assert not setup.is_up_to_date(stamp, setup.fingerprint(tmp_path))
    java.unlink()
    assert not setup.is_up_to_date(stamp, made)


def test_the_size_counts_files_and_not_what_links_point_to(
    setup: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to(tmp_path / "below" / "file")
    assert setup.size_bytes(tmp_path) == 1000 + os.lstat(tmp_path / "link").st_size
