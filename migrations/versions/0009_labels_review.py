"""For the review of labels: who withdrew one, which pairs are disputed, and indexes to filter by."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_PARTIAL_INDEXES = {
    "ix_labels_disputed": (["project_id", "id"], ["status"], "disputed"),
    "ix_labels_reason": (["project_id", "id"], ["status"], "rationale IS NOT NULL"),
    "ix_labels_edited": (["project_id", "id"], ["status"], "edited IS NOT NULL"),
    "ix_labels_uncounted": (["project_id", "status", "id"], [], "status <> 'counted'"),
    "ix_labels_undecided": (["project_id", "choice", "id"], [], "preferred_response_id IS NULL"),
}


def upgrade() -> None:
    op.add_column("labels", sa.Column("withdrawn_by", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        "fk_labels_withdrawn_by_annotators", "labels", "annotators", ["withdrawn_by"], ["id"]
    )
    op.add_column(
        "labels",
        sa.Column("disputed", sa.Boolean(), server_default="false", nullable=False),
    )
    op.execute(
        """
        UPDATE labels SET disputed = true
        FROM (
            SELECT pair_id FROM labels
            WHERE status NOT IN ('withdrawn', 'skipped')
            GROUP BY pair_id
            HAVING count(DISTINCT coalesce(preferred_response_id::text, choice)) > 1
        ) AS of_pair
        WHERE labels.pair_id = of_pair.pair_id AND status NOT IN ('withdrawn', 'skipped')
        """
    )
    for name, (columns, included, condition) in _PARTIAL_INDEXES.items():
        op.create_index(
            name,
            "labels",
            columns,
            postgresql_include=included,
            postgresql_where=sa.text(condition),
        )


def downgrade() -> None:
    for name in reversed(_PARTIAL_INDEXES):
        op.drop_index(name, table_name="labels")
    op.drop_column("labels", "disputed")
    op.drop_constraint("fk_labels_withdrawn_by_annotators", "labels", type_="foreignkey")
    op.drop_column("labels", "withdrawn_by")
