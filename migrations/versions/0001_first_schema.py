"""The first schema"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.storage.tables import TransactionId

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The project `default` always exists.
DEFAULT_PROJECT = """
    WITH made AS (
        INSERT INTO projects (
            name, guidelines, strategy, unit, labels_per_pair, overlap_share, overlap_labels,
            exploration, lease_seconds, cost_seconds_base, cost_words_per_minute, seed
        )
        VALUES (
            'default', '', 'dissimilar', 'labels', 1, 0, 2, 0.1, 1800, 8, 238,
            floor(random() * 9e18)
        )
        RETURNING id
    )
    INSERT INTO project_intake (project_id) SELECT id FROM made
"""


def upgrade() -> None:
    op.create_table(
        "annotators",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("all_projects", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("role IN ('admin', 'annotator')", name=op.f("ck_annotators_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotators")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_annotators_key_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_annotators_name")),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("guidelines", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("budget_limit", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("labels_per_pair", sa.SmallInteger(), nullable=False),
        sa.Column("overlap_share", sa.Float(precision=53), nullable=False),
        sa.Column("overlap_labels", sa.SmallInteger(), nullable=False),
        sa.Column("pairs_per_prompt", sa.Integer(), nullable=True),
        sa.Column("exploration", sa.Float(precision=53), nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.Column("cost_seconds_base", sa.Float(precision=53), nullable=False),
        sa.Column("cost_words_per_minute", sa.Float(precision=53), nullable=False),
        sa.Column("cost_hourly_rate", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.Numeric(precision=20, scale=6), server_default="0", nullable=False),
        sa.Column(
            "reserved", sa.Numeric(precision=20, scale=6), server_default="0", nullable=False
        ),
        sa.Column("strategy_assigned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("exploration_assigned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("counted_labels", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("surplus_labels", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("embedding_source", sa.Text(), nullable=True),
        sa.Column("embedding_dimensions", sa.Integer(), nullable=True),
        sa.Column("embedding_model", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "embedding_source IN ('caller', 'service')", name=op.f("ck_projects_embedding_source")
        ),
        sa.CheckConstraint(
            "unit <> 'labels' OR budget_limit IS NULL OR spent + reserved <= budget_limit",
            name=op.f("ck_projects_budget"),
        ),
        sa.CheckConstraint("unit IN ('labels', 'minutes', 'money')", name=op.f("ck_projects_unit")),
        sa.CheckConstraint("reserved >= 0 AND spent >= 0", name=op.f("ck_projects_ledger")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
    )
    op.create_table(
        "annotator_projects",
        sa.Column("annotator_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"],
            ["annotators.id"],
            name=op.f("fk_annotator_projects_annotator_id_annotators"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_annotator_projects_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("annotator_id", "project_id", name=op.f("pk_annotator_projects")),
    )
    op.create_index(
        op.f("ix_annotator_projects_project_id"), "annotator_projects", ["project_id"], unique=False
    )
    op.create_table(
        "erased_prompts",
        sa.Column("prompt_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "written_by",
            TransactionId(),
            server_default=sa.text("pg_current_xact_id()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_erased_prompts_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_erased_prompts")),
    )
    op.create_index(
        "ix_erased_prompts_catch_up",
        "erased_prompts",
        ["project_id", "written_by", "prompt_id"],
        unique=False,
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("assignment_id", sa.BigInteger(), nullable=True),
        sa.Column("label_id", sa.BigInteger(), nullable=True),
        sa.Column("spent", sa.Numeric(precision=20, scale=6), nullable=False),
        sa.Column("reserved", sa.Numeric(precision=20, scale=6), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('reserve', 'release', 'settle', 'refund')",
            name=op.f("ck_ledger_entries_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_ledger_entries_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
    )
    op.create_index(
        "ix_ledger_entries_project", "ledger_entries", ["project_id", "id"], unique=False
    )
    op.create_table(
        "project_intake",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("prompts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pending", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unplanned", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_project_intake_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_intake")),
    )
    op.create_table(
        "prompts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=True),
        sa.Column("exploration", sa.Boolean(), nullable=True),
        sa.Column("near_duplicate", sa.Boolean(), nullable=True),
        sa.Column("order_key", sa.Float(precision=53), nullable=True),
        sa.Column("pairs_planned", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pairs_total", sa.Integer(), nullable=False),
        sa.Column("pairs_considered", sa.Integer(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("status IN ('pending', 'ready')", name=op.f("ck_prompts_status")),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_prompts_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
        sa.UniqueConstraint(
            "project_id", "external_id", name=op.f("uq_prompts_project_id_external_id")
        ),
    )
    op.create_index("ix_prompts_group", "prompts", ["project_id", "group_id"], unique=False)
    op.create_index("ix_prompts_listing", "prompts", ["project_id", "id"], unique=False)
    op.create_index(
        "ix_prompts_outgrown",
        "prompts",
        ["project_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'ready' AND pairs_considered < pairs_total"),
    )
    op.create_index(
        "ix_prompts_pending",
        "prompts",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_prompts_plannable",
        "prompts",
        ["project_id", "exploration", "pairs_planned", "near_duplicate", "order_key", "id"],
        unique=False,
        postgresql_where=sa.text(
            "status = 'ready' AND group_id IS NOT NULL AND pairs_planned < pairs_total"
        ),
    )
    op.create_index(
        "ix_prompts_unplanned",
        "prompts",
        ["project_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'ready' AND group_id IS NULL"),
    )
    op.create_index(
        "uq_prompts_fingerprint",
        "prompts",
        ["project_id", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("external_id IS NULL"),
    )
    op.create_table(
        "pairs",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("prompt_id", sa.BigInteger(), nullable=False),
        sa.Column("first_response_id", sa.BigInteger(), nullable=False),
        sa.Column("second_response_id", sa.BigInteger(), nullable=False),
        sa.Column("similarity", sa.Float(precision=53), nullable=True),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("propensity", sa.Float(precision=53), nullable=True),
        sa.Column("position", sa.Float(precision=53), nullable=False),
        sa.Column("expected_seconds", sa.Float(precision=53), nullable=False),
        sa.Column("labels_wanted", sa.SmallInteger(), nullable=False),
        sa.Column(
            "overlap_draw",
            sa.Float(precision=53),
            server_default=sa.text("random()"),
            nullable=False,
        ),
        sa.Column("held", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("counted", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("imported", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("skips", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("handed_out", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "open",
            sa.Boolean(),
            sa.Computed("held + counted + imported < labels_wanted AND skips < 3", persisted=True),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "arm IN ('strategy', 'exploration', 'imported')", name=op.f("ck_pairs_arm")
        ),
        sa.CheckConstraint("first_response_id < second_response_id", name=op.f("ck_pairs_order")),
        sa.CheckConstraint(
            "held >= 0 AND counted >= 0 AND imported >= 0 AND skips >= 0 AND held + counted <= labels_wanted",
            name=op.f("ck_pairs_room"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_pairs_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.id"],
            name=op.f("fk_pairs_prompt_id_prompts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pairs")),
        sa.UniqueConstraint(
            "prompt_id",
            "first_response_id",
            "second_response_id",
            name=op.f("uq_pairs_prompt_id_first_response_id_second_response_id"),
        ),
    )
    op.create_index(
        "ix_pairs_open",
        "pairs",
        ["project_id", "arm", "position", "id"],
        unique=False,
        postgresql_where=sa.text("open"),
    )
    op.create_index(
        "ix_pairs_untouched",
        "pairs",
        ["project_id", "arm", "strategy"],
        unique=False,
        postgresql_where=sa.text("NOT handed_out AND arm <> 'imported'"),
    )
    op.create_table(
        "prompt_embeddings",
        sa.Column("prompt_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
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
            name=op.f("fk_prompt_embeddings_prompt_id_prompts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_prompt_embeddings")),
    )
    op.create_index(
        "ix_prompt_embeddings_catch_up",
        "prompt_embeddings",
        ["project_id", "written_by", "prompt_id"],
        unique=False,
    )
    op.create_table(
        "responses",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("prompt_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("score", sa.Float(precision=53), nullable=True),
        sa.Column("reference", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.id"],
            name=op.f("fk_responses_prompt_id_prompts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_responses")),
        sa.UniqueConstraint(
            "prompt_id", "external_id", name=op.f("uq_responses_prompt_id_external_id")
        ),
        sa.UniqueConstraint("prompt_id", "position", name=op.f("uq_responses_prompt_id_position")),
    )
    op.create_table(
        "assignments",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("pair_id", sa.BigInteger(), nullable=False),
        sa.Column("annotator_id", sa.BigInteger(), nullable=False),
        sa.Column("swapped", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reserved", sa.Numeric(precision=20, scale=6), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status IN ('held', 'answered', 'lapsed', 'released')",
            name=op.f("ck_assignments_status"),
        ),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name=op.f("fk_assignments_annotator_id_annotators")
        ),
        sa.ForeignKeyConstraint(
            ["pair_id"], ["pairs.id"], name=op.f("fk_assignments_pair_id_pairs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_assignments_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
        sa.UniqueConstraint(
            "pair_id", "annotator_id", name=op.f("uq_assignments_pair_id_annotator_id")
        ),
    )
    op.create_index(
        "ix_assignments_held",
        "assignments",
        ["annotator_id", "project_id"],
        unique=False,
        postgresql_where=sa.text("status = 'held'"),
    )
    op.create_index(
        "ix_assignments_lease",
        "assignments",
        ["project_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'held'"),
    )
    op.create_table(
        "labels",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("prompt_id", sa.BigInteger(), nullable=False),
        sa.Column("pair_id", sa.BigInteger(), nullable=False),
        sa.Column("assignment_id", sa.BigInteger(), nullable=True),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("preferred_response_id", sa.BigInteger(), nullable=True),
        sa.Column("rejected_response_id", sa.BigInteger(), nullable=True),
        sa.Column("strength", sa.SmallInteger(), nullable=True),
        sa.Column("seconds", sa.Float(precision=53), nullable=True),
        sa.Column("rationale", sa.Text(), nullable=True),
        sa.Column("edited", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cost", sa.Numeric(precision=20, scale=6), server_default="0", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(preferred_response_id IS NULL) = (choice IN ('tie', 'both_bad', 'skip')) AND (preferred_response_id IS NULL) = (rejected_response_id IS NULL)",
            name=op.f("ck_labels_preference"),
        ),
        sa.CheckConstraint(
            "choice IN ('left', 'right', 'tie', 'both_bad', 'skip')", name=op.f("ck_labels_choice")
        ),
        sa.CheckConstraint(
            "status IN ('counted', 'surplus', 'skipped', 'withdrawn')",
            name=op.f("ck_labels_status"),
        ),
        sa.ForeignKeyConstraint(
            ["pair_id"], ["pairs.id"], name=op.f("fk_labels_pair_id_pairs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_labels_project_id_projects"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.id"],
            name=op.f("fk_labels_prompt_id_prompts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
    )
    op.create_index(
        "ix_labels_annotator", "labels", ["annotator", "project_id", "id"], unique=False
    )
    op.create_index("ix_labels_listing", "labels", ["project_id", "id"], unique=False)
    op.create_index("ix_labels_pair", "labels", ["pair_id"], unique=False)
    op.create_index("ix_labels_prompt", "labels", ["prompt_id"], unique=False)
    op.create_index(
        "ix_labels_surplus",
        "labels",
        ["pair_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'surplus'"),
    )
    op.create_index(
        "uq_labels_assignment",
        "labels",
        ["assignment_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'withdrawn'"),
    )
    op.create_index(
        "uq_labels_live",
        "labels",
        ["pair_id", "annotator"],
        unique=True,
        postgresql_where=sa.text("status <> 'withdrawn'"),
    )
    op.create_table(
        "response_embeddings",
        sa.Column("response_id", sa.BigInteger(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["response_id"],
            ["responses.id"],
            name=op.f("fk_response_embeddings_response_id_responses"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("response_id", name=op.f("pk_response_embeddings")),
    )
    op.execute(DEFAULT_PROJECT)


def downgrade() -> None:
    op.drop_table("response_embeddings")
    op.drop_index(
        "uq_labels_live", table_name="labels", postgresql_where=sa.text("status <> 'withdrawn'")
    )
    op.drop_index(
        "uq_labels_assignment",
        table_name="labels",
        postgresql_where=sa.text("status <> 'withdrawn'"),
    )
    op.drop_index(
        "ix_labels_surplus", table_name="labels", postgresql_where=sa.text("status = 'surplus'")
    )
    op.drop_index("ix_labels_prompt", table_name="labels")
    op.drop_index("ix_labels_pair", table_name="labels")
    op.drop_index("ix_labels_listing", table_name="labels")
    op.drop_index("ix_labels_annotator", table_name="labels")
    op.drop_table("labels")
    op.drop_index(
        "ix_assignments_lease",
        table_name="assignments",
        postgresql_where=sa.text("status = 'held'"),
    )
    op.drop_index(
        "ix_assignments_held", table_name="assignments", postgresql_where=sa.text("status = 'held'")
    )
    op.drop_table("assignments")
    op.drop_table("responses")
    op.drop_index("ix_prompt_embeddings_catch_up", table_name="prompt_embeddings")
    op.drop_table("prompt_embeddings")
    op.drop_index(
        "ix_pairs_untouched",
        table_name="pairs",
        postgresql_where=sa.text("NOT handed_out AND arm <> 'imported'"),
    )
    op.drop_index("ix_pairs_open", table_name="pairs", postgresql_where=sa.text("open"))
    op.drop_table("pairs")
    op.drop_index(
        "uq_prompts_fingerprint",
        table_name="prompts",
        postgresql_where=sa.text("external_id IS NULL"),
    )
    op.drop_index(
        "ix_prompts_unplanned",
        table_name="prompts",
        postgresql_where=sa.text("status = 'ready' AND group_id IS NULL"),
    )
    op.drop_index(
        "ix_prompts_plannable",
        table_name="prompts",
        postgresql_where=sa.text(
            "status = 'ready' AND group_id IS NOT NULL AND pairs_planned < pairs_total"
        ),
    )
    op.drop_index(
        "ix_prompts_pending", table_name="prompts", postgresql_where=sa.text("status = 'pending'")
    )
    op.drop_index(
        "ix_prompts_outgrown",
        table_name="prompts",
        postgresql_where=sa.text("status = 'ready' AND pairs_considered < pairs_total"),
    )
    op.drop_index(
        "ix_prompts_outgrown",
        table_name="prompts",
        postgresql_where=sa.text("status = 'ready' AND pairs_considered < pairs_total"),
    )
    op.drop_index("ix_prompts_listing", table_name="prompts")
    op.drop_index("ix_prompts_group", table_name="prompts")
    op.drop_table("prompts")
    op.drop_table("project_intake")
    op.drop_index("ix_ledger_entries_project", table_name="ledger_entries")
    op.drop_table("ledger_entries")
    op.drop_index("ix_erased_prompts_catch_up", table_name="erased_prompts")
    op.drop_table("erased_prompts")
    op.drop_index(op.f("ix_annotator_projects_project_id"), table_name="annotator_projects")
    op.drop_table("annotator_projects")
    op.drop_table("projects")
    op.drop_table("annotators")
