"""A database of each kind that the product runs on, empty: SQLite in a file, and PostgreSQL."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from calstream_core.settings import Settings
from calstream_core.store import Database, open_database
from calstream_ops.stack.ports import remembered_ports

_START_SECONDS = 60
_USER = "calstream"

OpenDatabase = Callable[[], Database]
"""Opens the test's database once more, as another process would."""


def _postgres_folder() -> Path:
    """Where PostgreSQL's programs are; skips where there are none."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("PostgreSQL is not installed; `make install-system` installs it on Debian")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL server that ends with the tests."""
    programs = _postgres_folder()
    # it refuses to run as root: then the package's own user runs it
    user = "postgres" if os.geteuid() == 0 else None
    # not below pytest's own folders: those are closed to other users
    scratch = tempfile.TemporaryDirectory(prefix="calstream-postgres-")
    folder = Path(scratch.name)
    if user is not None:
        shutil.chown(folder, user)
    port = remembered_ports(tmp_path_factory.mktemp("postgres") / "ports.json", ("sql",))["sql"]
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        user=user,
        cwd=folder,
    )
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), *words],
            stdout=log,
            stderr=log,
            user=user,
            cwd=folder,
        )
    try:
        address = f"postgresql://{_USER}@127.0.0.1:{port}"
        _wait(f"{address}/postgres", server, folder / "log")
        yield address
    finally:
        server.send_signal(signal.SIGINT)  # does not wait for who is still connected
        server.wait(30)
        scratch.cleanup()


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(address, connect_timeout=5).close()
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings that name an empty database of each kind."""
    tree: dict[str, object] = {"state": {"directory": str(tmp_path / "state")}}
    if request.param == "postgresql":
        address = request.getfixturevalue("postgres")
        name = f"test_{os.urandom(6).hex()}"
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        tree["database"] = {"url": f"{address}/{name}"}
    return Settings.model_validate(tree)


@pytest.fixture
def open_again(settings: Settings) -> Iterator[OpenDatabase]:
    opened: list[Database] = []

    def open_() -> Database:
        opened.append(open_database(settings))
        return opened[-1]

    yield open_
    for database in opened:
        database.close()


def at_once(settings: Settings, script: str, *, processes: int) -> list[Any]:
    """What a script leaves as `answer`, of several processes that begin at the same moment."""
    program = f"""
import json, sys
from calstream_core.settings import Settings
from calstream_core import sealing, store
settings = Settings.model_validate_json({settings.model_dump_json()!r})
print("ready", flush=True)
sys.stdin.readline()
{script}
print(json.dumps(answer))
"""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return [json.loads(child.communicate(timeout=60)[0]) for child in children]
