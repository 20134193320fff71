"""The SQL of ``labels.disputed``: whether the labels of a pair that stand say the same."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from app.storage import predicates
from app.storage.sql import statement

# Served by ix_labels_pair.
_REFRESH = statement(
    """
    UPDATE labels SET disputed = of_pair.disputed
    FROM (
        SELECT pair_id, count(DISTINCT {answer}) > 1 AS disputed
        FROM labels
        WHERE pair_id = ANY(CAST(:pair_ids AS bigint[])) AND {judging}
        GROUP BY pair_id
    ) AS of_pair
    WHERE labels.pair_id = of_pair.pair_id AND {judging} AND labels.disputed <> of_pair.disputed
    """,
    answer=predicates.ANSWER,
    judging=predicates.JUDGING_LABEL,
)


async def refresh_disputes(session: AsyncSession, pair_ids: Collection[int]) -> None:
    """Mark the labels of these pairs as disputed, or not, after labels were added or withdrawn."""
    await session.execute(_REFRESH, {"pair_ids": list(pair_ids)})
