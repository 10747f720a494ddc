"""The tables of the database. A change here needs a migration; a test compares the two."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

encryption_key = Table(
    "encryption_key",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("first_used_at", BigInteger, nullable=False),  # microseconds, as all times here
    Column("retired_at", BigInteger),
)
"""The key-encryption keys that were ever used, by fingerprint. Never the keys themselves."""

data_key = Table(
    "data_key",
    metadata,
    Column("workspace", String(63), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("name", Text, nullable=False),
    # both empty once it is destroyed; the row stays, so that what it sealed reads as erased
    Column("wrapped", LargeBinary),
    Column("wrapped_by", String(32)),
    Column("created_at", BigInteger, nullable=False),
    Column("destroyed_at", BigInteger),
)
"""The data keys, each wrapped by a key-encryption key."""

_alive = data_key.c.destroyed_at.is_(None)
_destroyed = data_key.c.destroyed_at.is_not(None)

Index(
    "data_key_alive",
    data_key.c.workspace,
    data_key.c.scope,
    data_key.c.name,
    unique=True,
    sqlite_where=_alive,
    postgresql_where=_alive,
)
Index(
    "data_key_destroyed",
    data_key.c.destroyed_at,
    sqlite_where=_destroyed,
    postgresql_where=_destroyed,
)
Index("data_key_wrapped_by", data_key.c.wrapped_by)
