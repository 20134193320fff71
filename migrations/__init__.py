"""Database migrations (Alembic), applied by `annotation-budget migrate` and `serve`."""
