"""Labels that no person gave: a status for them, and an arm for pairs stored for them alone."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_STATUSES = "'counted', 'surplus', 'skipped', 'withdrawn'"
_ARMS = "'strategy', 'exploration', 'imported'"


def upgrade() -> None:
    _allow("labels", "status", f"{_STATUSES}, 'automatic'")
    _allow("pairs", "arm", f"{_ARMS}, 'automatic'")


def downgrade() -> None:
    op.execute("DELETE FROM labels WHERE status = 'automatic'")
    op.execute("DELETE FROM pairs WHERE arm = 'automatic'")
    _allow("labels", "status", _STATUSES)
    _allow("pairs", "arm", _ARMS)


def _allow(table: str, column: str, values: str) -> None:
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({values})")
