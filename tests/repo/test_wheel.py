"""What is published: only our packages, with their data and entry points."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_holds_only_our_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "calstream_core",
        "calstream_engine",
        "calstream_ingest",
        "calstream_ops",
        "calstream_processors",
        "calstream_sandbox",
        "calstream_schemas",
        "calstream_sinks",
    }


def test_the_wheel_holds_the_schemas_and_the_lock_of_the_broker(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "calstream_schemas/avro/Contact.v1.avsc" in names
    assert "calstream_ops/stack/kafka.lock.toml" in names
    assert "calstream_core/py.typed" in names


def test_the_wheel_has_the_command_and_the_sinks(wheel: zipfile.ZipFile) -> None:
    (file,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    points = wheel.read(file).decode()
    assert "calstream = calstream_ops.cli:main" in points
    assert "hubspot = calstream_sinks.hubspot:HubSpotSink" in points
