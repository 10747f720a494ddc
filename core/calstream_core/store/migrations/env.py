"""Run by Alembic: makes the steps on the connection that `upgrade` hands over."""

from alembic import context

from calstream_core.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
