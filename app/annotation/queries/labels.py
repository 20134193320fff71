"""The SQL of single labels: find and withdraw them."""

from collections.abc import Sequence

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage import predicates
from app.storage.tables import Label


async def find_label(session: AsyncSession, label_id: int) -> Label | None:
    """Any annotator's label."""
    return await session.get(Label, label_id, populate_existing=True)


async def labels_by_id(session: AsyncSession, label_ids: Sequence[int]) -> dict[int, Label]:
    """Labels by number."""
    labels = await session.scalars(select(Label).where(Label.id.in_(label_ids)))
    return {label.id: label for label in labels}


async def oldest_surplus_label(session: AsyncSession, pair_id: int) -> Label | None:
    """The first surplus label of a pair. Served by ``ix_labels_surplus``."""
    return await session.scalar(
        select(Label)
        .where(Label.pair_id == pair_id, text(predicates.SURPLUS_LABEL))
        .order_by(Label.id)
        .limit(1)
    )


async def mark_withdrawn(session: AsyncSession, label_id: int, *, by: int) -> None:
    """Let the annotator ``by`` withdraw a label, at the database's time; it stays as history."""
    await session.execute(
        update(Label)
        .where(Label.id == label_id)
        .values(
            status="withdrawn",
            withdrawn_at=func.clock_timestamp(),
            withdrawn_by=by,
            disputed=False,
        )
    )
