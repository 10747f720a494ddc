"""Opens the database: SQLite in the state directory, or PostgreSQL; with its tables up to date."""

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.settings import Settings, read_secret
from calstream_core.store.migrations import HEAD, current_revision, upgrade

FILE_NAME = "calstream.db"
"""SQLite's file in the state directory."""

_BUSY_MILLISECONDS = 10_000
_CONNECT_SECONDS = 5
_AUTOCOMMIT = "AUTOCOMMIT"


class Database:
    """A database whose tables are as this version needs them. Safe in any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level=_AUTOCOMMIT)
        self._is_ready = False
        # who forgets to close it leaves no connection open
        self._finalizer = weakref.finalize(self, engine.dispose)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is the embedded one."""
        return self._engine.dialect.name == "sqlite"

    @property
    def exists(self) -> bool:
        """Whether there is anything to open: SQLite's file, or a server of the settings."""
        file = self._engine.url.database
        return not self.is_sqlite or (file is not None and Path(file).exists())

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on which each statement stands alone.

        Raises:
            UnavailableError: the database does not answer.
        """
        with _translated():
            self._make_ready()
            with self._reading.connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; in SQLite it holds the lock for writing from its beginning.

        Raises:
            UnavailableError: the database does not answer, or is locked for too long.
        """
        with _translated():
            self._make_ready()
            with self._engine.begin() as connection:
                yield connection

    def clean(self) -> None:
        """After something was destroyed: leaves no older image of it in SQLite's journal."""
        if self.is_sqlite:
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Closes every connection; a later use opens new ones."""
        self._engine.dispose()

    def _make_ready(self) -> None:
        if self._is_ready:
            return
        with _alone(Path(self._engine.url.database or "")) if self.is_sqlite else nullcontext():
            with self._reading.connect() as connection:
                revision = current_revision(connection)
            if revision != HEAD:
                with self._engine.begin() as connection:  # one process does it, the others wait
                    upgrade(connection)
        self._is_ready = True


def open_database(settings: Settings) -> Database:
    """The database of the settings. Connects at its first use.

    Raises:
        ConfigError: the address can't be understood, or its password can't be read.
    """
    address = settings.database.url
    if not address:
        return sqlite_database(settings.state.directory / FILE_NAME)
    try:
        url = make_url(address).set(drivername="postgresql+psycopg")
    except ArgumentError as error:
        raise ConfigError(
            Code.CONFIG_INVALID,
            "database.url is no address of a database.",
            hint='For example url = "postgresql://calstream@db.example.com/calstream".',
        ) from error
    if settings.database.password is not None:
        secret = read_secret(settings.database.password, "the database's password")
        url = url.set(password=secret.decode())
    return Database(_postgresql(url))


def sqlite_database(file: Path) -> Database:
    """A database in a file, which is made at the first use for its owner alone."""
    engine = create_engine(URL.create("sqlite", database=str(file)), pool_pre_ping=False)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # transactions are begun below, not by the driver when it sees fit
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {_BUSY_MILLISECONDS}",
            "journal_mode = WAL",
            "synchronous = FULL",  # a key that sealed something must survive a power cut
            "secure_delete = ON",  # what is destroyed is overwritten in the file
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != _AUTOCOMMIT:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return Database(engine)


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_SECONDS}
    )


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One process at a time: SQLite does not wait while another one switches to the WAL."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # not the file itself: to close it a second time would drop SQLite's own locks on it
    with os.fdopen(os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise UnavailableError(
            Code.DATABASE_UNAVAILABLE,
            f"The database can't be used: {type(reason).__name__}.",
            hint="Does it run, and do database.url and its password fit?",
        ) from error
    except SQLAlchemyError as error:
        raise UnavailableError(
            Code.DATABASE_UNAVAILABLE, f"The database can't be used: {type(error).__name__}."
        ) from error
