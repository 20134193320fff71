"""SQL that erases what annotators did with a prompt."""

from sqlalchemy import Numeric, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.tables import (
    Assignment,
    Label,
    LedgerEntry,
    Pair,
    Project,
)


async def release_assignments(session: AsyncSession, project_id: int, prompt_id: int) -> None:
    """Give back what the ledger holds for the prompt's held assignments.

    The caller holds the project's row.
    """
    held = (
        select(Assignment.id, Assignment.reserved)
        .join(Pair, Pair.id == Assignment.pair_id)
        .where(Pair.prompt_id == prompt_id, Assignment.status == "held")
        .cte("held")
    )
    released = (
        insert(LedgerEntry)
        .from_select(
            ["project_id", "kind", "assignment_id", "spent", "reserved"],
            select(
                literal(project_id),
                literal("release"),
                held.c.id,
                literal(0, Numeric),
                -held.c.reserved,
            ),
        )
        .returning(LedgerEntry.reserved)
        .cte("released")
    )
    amount = await session.scalar(select(func.coalesce(func.sum(released.c.reserved), 0)))
    if amount:
        await session.execute(
            update(Project)
            .where(Project.id == project_id)
            .values(reserved=Project.reserved + amount)
            .execution_options(synchronize_session=False)
        )


async def erase_labels(session: AsyncSession, project_id: int, prompt_id: int) -> None:
    """Delete the prompt's labels and take them off the project's counts; what was spent stays.

    Served by ``ix_labels_prompt``. The caller holds the project's row.
    """
    erased = delete(Label).where(Label.prompt_id == prompt_id).returning(Label.status).cte("erased")
    counted, surplus = (
        await session.execute(
            select(
                func.count().filter(erased.c.status == "counted"),
                func.count().filter(erased.c.status == "surplus"),
            ).select_from(erased)
        )
    ).one()
    if counted or surplus:
        await session.execute(
            update(Project)
            .where(Project.id == project_id)
            .values(
                counted_labels=Project.counted_labels - counted,
                surplus_labels=Project.surplus_labels - surplus,
            )
            .execution_options(synchronize_session=False)
        )
