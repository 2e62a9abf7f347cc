"""Where Alembic runs a migration: on the connection that `infra.postgres.migrate` opened."""

from alembic import context

from infra.postgres.migrate import configure

configure(context)
with context.begin_transaction():
    context.run_migrations()
