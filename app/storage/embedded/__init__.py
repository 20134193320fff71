"""The embedded Postgres: made, started, watched and stopped here."""
