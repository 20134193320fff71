"""Postgres: the engine, sessions, tables, notifications, migrations, and the embedded server."""
