"""An index for spend over time: the entries of a ledger that spent or refunded something."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_ledger_entries_spend",
        "ledger_entries",
        ["project_id", "created_at"],
        unique=False,
        postgresql_include=["spent"],
        postgresql_where="spent <> 0",
    )


def downgrade() -> None:
    op.drop_index(
        "ix_ledger_entries_spend", table_name="ledger_entries", postgresql_where="spent <> 0"
    )
