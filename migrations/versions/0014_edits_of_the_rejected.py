"""Labels may carry an edit of the rejected response too; the index of edits finds both."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("labels", sa.Column("edited_rejected", sa.Text(), nullable=True))
    _index_edits("edited IS NOT NULL OR edited_rejected IS NOT NULL")


def downgrade() -> None:
    _index_edits("edited IS NOT NULL")
    op.drop_column("labels", "edited_rejected")


def _index_edits(condition: str) -> None:
    op.drop_index("ix_labels_edited", table_name="labels")
    op.create_index(
        "ix_labels_edited",
        "labels",
        ["project_id", "id"],
        postgresql_include=["status"],
        postgresql_where=sa.text(condition),
    )
