"""The SQL of labels as they stand: find, list and withdraw them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage import predicates
from app.storage.tables import Label, Prompt


async def find_label(session: AsyncSession, label_id: int) -> Label | None:
    """Any annotator's label."""
    return await session.get(Label, label_id, populate_existing=True)


async def labels_by_id(session: AsyncSession, label_ids: Sequence[int]) -> dict[int, Label]:
    """Labels by number."""
    labels = await session.scalars(select(Label).where(Label.id.in_(label_ids)))
    return {label.id: label for label in labels}


async def list_labels(
    session: AsyncSession, project_id: int, annotator: str | None, *, after_id: int, limit: int
) -> list[Label]:
    """A page of labels by number. Served by ``ix_labels_listing`` or ``ix_labels_annotator``."""
    statement = (
        select(Label)
        .where(Label.project_id == project_id, Label.id > after_id)
        .order_by(Label.id)
        .limit(limit)
    )
    if annotator is not None:
        statement = statement.where(Label.annotator == annotator)
    return list(await session.scalars(statement))


async def newest_labels(
    session: AsyncSession, project_id: int, *, limit: int
) -> Sequence[Row[Label, Any]]:
    """The labels that came last, withdrawn ones too, with their prompts' content.

    Served by ``ix_labels_listing``, read backwards, and the primary key of prompts.
    """
    found = await session.execute(
        select(Label, Prompt.content)
        .join(Prompt, Prompt.id == Label.prompt_id)
        .where(Label.project_id == project_id)
        .order_by(Label.id.desc())
        .limit(limit)
    )
    return found.all()


async def oldest_surplus_label(session: AsyncSession, pair_id: int) -> Label | None:
    """The first surplus label of a pair. Served by ``ix_labels_surplus``."""
    return await session.scalar(
        select(Label)
        .where(Label.pair_id == pair_id, text(predicates.SURPLUS_LABEL))
        .order_by(Label.id)
        .limit(1)
    )


async def mark_withdrawn(session: AsyncSession, label_id: int) -> None:
    """Withdraw a label, at the database's time; it stays as history."""
    await session.execute(
        update(Label)
        .where(Label.id == label_id)
        .values(status="withdrawn", withdrawn_at=func.clock_timestamp())
    )
