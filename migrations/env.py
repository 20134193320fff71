"""Alembic's entry: `app.storage.migrate` gives the connection."""

from alembic import context

from app.storage.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
