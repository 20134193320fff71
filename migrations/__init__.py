"""Database migrations (Alembic), applied by `annotation-budget migrate` and `serve`."""

__distribution__ = "annotation-budget"
