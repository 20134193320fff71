"""Rows of one prompt are one prompt: running imports, and imported labels by their answer."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LIVE = sa.text("status <> 'withdrawn'")
_NO_ID = sa.text("external_id IS NULL")
_ARRIVING = "status = 'ready' AND group_id IS NULL"
_PLANNABLE = "status = 'ready' AND group_id IS NOT NULL AND pairs_planned < pairs_total"
_OUTGROWN = "status = 'ready' AND pairs_considered < pairs_total"
_PLANNER_INDEXES = (
    ("ix_prompts_unplanned", ["project_id", "id"], _ARRIVING),
    (
        "ix_prompts_plannable",
        ["project_id", "exploration", "pairs_planned", "near_duplicate", "order_key", "id"],
        _PLANNABLE,
    ),
    ("ix_prompts_outgrown", ["project_id", "id"], _OUTGROWN),
)


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("shared", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_imports_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    op.create_index("ix_imports_project", "imports", ["project_id", "id"])
    op.add_column("prompts", sa.Column("import_id", sa.BigInteger(), nullable=True))
    _replace_planner_indexes(" AND import_id IS NULL")
    op.create_index(
        "ix_prompts_import",
        "prompts",
        ["project_id", "import_id", "id"],
        postgresql_where=sa.text("import_id IS NOT NULL"),
    )
    op.create_index(
        "ix_prompts_content",
        "prompts",
        [sa.text("md5(content::text)")],
        postgresql_where=_NO_ID,
    )
    op.drop_index("uq_labels_live", table_name="labels")
    op.create_index(
        "uq_labels_live",
        "labels",
        [
            "pair_id",
            "annotator",
            sa.text("(CASE WHEN assignment_id IS NULL THEN choice ELSE '' END)"),
        ],
        unique=True,
        postgresql_where=_LIVE,
    )


def downgrade() -> None:
    # Fails where an annotator has imported labels of several answers: the old schema has no room.
    op.drop_index("uq_labels_live", table_name="labels")
    op.create_index(
        "uq_labels_live", "labels", ["pair_id", "annotator"], unique=True, postgresql_where=_LIVE
    )
    op.drop_index("ix_prompts_content", table_name="prompts")
    op.drop_index("ix_prompts_import", table_name="prompts")
    _replace_planner_indexes("")
    op.drop_column("prompts", "import_id")
    op.drop_table("imports")


def _replace_planner_indexes(condition: str) -> None:
    for name, columns, which in _PLANNER_INDEXES:
        op.drop_index(name, table_name="prompts")
        op.create_index(name, "prompts", columns, postgresql_where=sa.text(which + condition))
