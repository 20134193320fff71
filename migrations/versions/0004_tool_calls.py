"""Prompts have tools, and responses tool calls.

All of it is quick however many rows there are: no row is rewritten, since the prompts and responses
that are stored have neither tools nor calls.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("prompts", sa.Column("tools", postgresql.JSON(), nullable=True))
    op.add_column(
        "prompts",
        sa.Column("with_tools", sa.Boolean(), server_default="false", nullable=False),
    )
    op.add_column("responses", sa.Column("tool_calls", postgresql.JSON(), nullable=True))
    op.create_index(
        "ix_prompts_with_tools",
        "prompts",
        ["project_id", "id"],
        postgresql_where=sa.text("with_tools"),
    )


def downgrade() -> None:
    op.drop_index("ix_prompts_with_tools", "prompts")
    op.drop_column("responses", "tool_calls")
    op.drop_column("prompts", "with_tools")
    op.drop_column("prompts", "tools")
