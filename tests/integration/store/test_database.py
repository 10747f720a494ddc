"""The tables of the database, on each kind that the product runs on."""

import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from tests.integration.store.conftest import OpenDatabase, at_once

from calstream_core.errors import Code, ConfigError, UnavailableError
from calstream_core.settings import Settings
from calstream_core.store import migrations, open_database
from calstream_core.store.tables import metadata


def test_the_steps_make_the_tables_as_the_code_has_them(open_again: OpenDatabase) -> None:
    database = open_again()
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert migrations.current_revision(connection) == migrations.HEAD
    folder = Path(migrations.__file__).parent
    assert ScriptDirectory(str(folder)).get_current_head() == migrations.HEAD


OPEN = """
from sqlalchemy import text
from calstream_core.store import open_database
with open_database(settings).reading() as connection:
    answer = connection.execute(text("SELECT count(*) FROM data_key")).scalar_one()
"""


def test_several_processes_may_open_a_new_database_at_once(settings: Settings) -> None:
    assert at_once(settings, OPEN, processes=3) == [0, 0, 0]


def test_a_transaction_that_fails_leaves_nothing(open_again: OpenDatabase) -> None:
    database = open_again()
    add = text("INSERT INTO encryption_key (id, first_used_at) VALUES ('a', 1)")

    def fail() -> None:
        with database.writing() as connection:
            connection.execute(add)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM encryption_key")).scalar_one() == 0


def test_sqlite_s_file_is_the_owner_s_alone(tmp_path: Path) -> None:
    settings = Settings.model_validate({"state": {"directory": str(tmp_path / "state")}})
    database = open_database(settings)
    assert not database.exists
    with database.writing() as connection:
        connection.execute(text("INSERT INTO encryption_key (id, first_used_at) VALUES ('a', 1)"))
        files = sorted((tmp_path / "state").iterdir())
        assert "calstream.db" in {file.name for file in files}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    database.close()


def test_a_database_that_does_not_answer_is_said_to_be_so() -> None:
    settings = Settings.model_validate({"database": {"url": "postgresql://no@127.0.0.1:1/none"}})
    with pytest.raises(UnavailableError) as caught, open_database(settings).reading():
        pass
    assert caught.value.code is Code.DATABASE_UNAVAILABLE


def test_a_password_comes_from_where_the_settings_say(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "database": {
                "url": "postgresql://no@127.0.0.1:1/none",
                "password": {"file": str(tmp_path / "absent")},
            }
        }
    )
    with pytest.raises(ConfigError, match="password"):
        open_database(settings)
