"""Rounds of responses: sampled, labelled, trained on, and sampled again from the new model.

What is stored is round 1. The new columns have constant defaults and the indexes are empty at
first, so nothing is rewritten.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_PLANNABLE = (
    "status = 'ready' AND group_id IS NOT NULL AND pairs_planned < pairs_total"
    " AND import_id IS NULL AND next_round > 1"
)


def upgrade() -> None:
    op.add_column(
        "responses", sa.Column("round", sa.SmallInteger(), server_default="1", nullable=False)
    )
    for name, kind, default in (
        ("latest_round", sa.SmallInteger(), "1"),
        ("next_round", sa.SmallInteger(), "1"),
        ("next_place", sa.Integer(), "0"),
    ):
        op.add_column("prompts", sa.Column(name, kind, server_default=default, nullable=False))
    op.create_index(
        "ix_prompts_fresh",
        "prompts",
        [
            "project_id",
            sa.text("next_round DESC"),
            "exploration",
            "next_place",
            "near_duplicate",
            "order_key",
            "id",
        ],
        postgresql_where=sa.text(_PLANNABLE),
    )
    op.create_index(
        "ix_prompts_rounds",
        "prompts",
        ["project_id", "latest_round"],
        postgresql_where=sa.text("latest_round > 1"),
    )


def downgrade() -> None:
    op.drop_index("ix_prompts_rounds", table_name="prompts")
    op.drop_index("ix_prompts_fresh", table_name="prompts")
    for name in ("next_place", "next_round", "latest_round"):
        op.drop_column("prompts", name)
    op.drop_column("responses", "round")
