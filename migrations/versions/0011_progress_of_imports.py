"""What has become of an import's lines so far."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COUNTS = ("created", "extended", "unchanged", "rejected")


def upgrade() -> None:
    for name in _COUNTS:
        op.add_column(
            "imports", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
        )


def downgrade() -> None:
    for name in reversed(_COUNTS):
        op.drop_column("imports", name)
