"""The SQL database: what a log is bad at, such as keys that must be destroyed at once."""

from calstream_core.store.database import Database, open_database, sqlite_database

__all__ = ["Database", "open_database", "sqlite_database"]
