"""Vectors of what prompts ask, apart from the prompts' own.

The tables are empty at first: the embedder fills them in batches while the service runs.
"""

import sqlalchemy as sa
from alembic import op

from app.storage.tables import TransactionId

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "question_embeddings",
        sa.Column("prompt_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column(
            "written_by",
            TransactionId(),
            server_default=sa.text("pg_current_xact_id()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.id"],
            name=op.f("fk_question_embeddings_prompt_id_prompts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_question_embeddings")),
    )
    op.create_index(
        "ix_question_embeddings_catch_up",
        "question_embeddings",
        ["project_id", "version", "written_by", "prompt_id"],
    )
    op.create_table(
        "question_progress",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("written_by", TransactionId(), nullable=False),
        sa.Column("prompt_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_question_progress_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_question_progress")),
    )


def downgrade() -> None:
    op.drop_table("question_progress")
    op.drop_table("question_embeddings")
