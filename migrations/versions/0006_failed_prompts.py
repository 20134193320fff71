"""Prompts that the embedding model fails on are ``failed``; annotators can be renamed.

The new constraints and the index read the table of prompts, a few seconds for millions of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TRY_ALL_AGAIN = """
    UPDATE project_intake SET pending = pending + failed.prompts,
        unplanned = unplanned + failed.without_group
    FROM (
        SELECT project_id, count(*) AS prompts,
            count(*) FILTER (WHERE group_id IS NULL) AS without_group
        FROM prompts WHERE status = 'failed' GROUP BY project_id
    ) AS failed
    WHERE project_intake.project_id = failed.project_id
"""


def upgrade() -> None:
    op.add_column(
        "project_intake",
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column(
        "projects", sa.Column("renamings", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("prompts", sa.Column("failure", sa.Text(), nullable=True))
    op.drop_constraint(op.f("ck_prompts_status"), "prompts")
    op.create_check_constraint(
        op.f("ck_prompts_status"), "prompts", "status IN ('pending', 'ready', 'failed')"
    )
    op.create_check_constraint(
        op.f("ck_prompts_failure"), "prompts", "(status = 'failed') = (failure IS NOT NULL)"
    )
    op.create_index(
        "ix_prompts_failed",
        "prompts",
        ["project_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'failed'"),
    )


def downgrade() -> None:
    op.execute(_TRY_ALL_AGAIN)
    op.drop_constraint(op.f("ck_prompts_failure"), "prompts")
    op.execute("UPDATE prompts SET status = 'pending', failure = NULL WHERE status = 'failed'")
    op.drop_index(
        "ix_prompts_failed", table_name="prompts", postgresql_where=sa.text("status = 'failed'")
    )
    op.drop_constraint(op.f("ck_prompts_status"), "prompts")
    op.create_check_constraint(
        op.f("ck_prompts_status"), "prompts", "status IN ('pending', 'ready')"
    )
    op.drop_column("prompts", "failure")
    op.drop_column("projects", "renamings")
    op.drop_column("project_intake", "failed")
