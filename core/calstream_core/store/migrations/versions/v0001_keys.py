"""The first tables: data keys, and the fingerprints of what wraps them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "encryption_key",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("first_used_at", sa.BigInteger, nullable=False),
        sa.Column("retired_at", sa.BigInteger),
    )
    op.create_table(
        "data_key",
        sa.Column("workspace", sa.String(63), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("wrapped_by", sa.String(32)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("destroyed_at", sa.BigInteger),
    )
    alive, destroyed = sa.text("destroyed_at IS NULL"), sa.text("destroyed_at IS NOT NULL")
    op.create_index(
        "data_key_alive",
        "data_key",
        ["workspace", "scope", "name"],
        unique=True,
        sqlite_where=alive,
        postgresql_where=alive,
    )
    op.create_index(
        "data_key_destroyed",
        "data_key",
        ["destroyed_at"],
        sqlite_where=destroyed,
        postgresql_where=destroyed,
    )
    op.create_index("data_key_wrapped_by", "data_key", ["wrapped_by"])
