"""Brings the tables to what this version needs; each step is a file in `versions`.

Alembic is imported only when there is a step to make, so that a command starts quickly.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

HEAD = "0001"
"""The newest step; a test compares it with the files."""

_ADVISORY_LOCK = 0x63_61_6C_73  # any number, the same in all processes


def current_revision(connection: Connection) -> str | None:
    """The last step that was made; None in an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def upgrade(connection: Connection) -> None:
    """Makes every step that is missing, within the caller's transaction.

    Several processes may call it at once: one makes the steps, the others wait and find them made.
    """
    from alembic import command  # noqa: PLC0415 - see the module's docstring
    from alembic.config import Config  # noqa: PLC0415 - see the module's docstring

    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
