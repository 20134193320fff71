"""The project ``default`` chooses by ``auto``, as new projects do, where it holds no prompt yet."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SET_STRATEGY = """
    UPDATE projects SET strategy = '{to}'
    WHERE name = 'default' AND strategy = '{was}'
        AND NOT EXISTS (SELECT FROM prompts WHERE prompts.project_id = projects.id)
"""
CHOOSE_AUTO = _SET_STRATEGY.format(was="dissimilar", to="auto")


def upgrade() -> None:
    op.execute(CHOOSE_AUTO)


def downgrade() -> None:
    op.execute(_SET_STRATEGY.format(was="auto", to="dissimilar"))
