"""Runs migrations on the connection that `serving.store.engine.migrate` hands over, inside its transaction."""

from alembic import context

from serving.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's DDL is transactional once BEGIN is said explicitly, which the engine does.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
