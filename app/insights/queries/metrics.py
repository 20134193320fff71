"""What the database knows of the whole service, in few cheap queries."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.tables import Assignment, Pair, Project, ProjectIntake, Prompt


@dataclass(frozen=True, slots=True)
class ProjectGauges:
    """One project now. ``lapsed`` leases are over, and wait for a claim to free them."""

    name: str
    unit: str
    limit: Decimal | None
    spent: Decimal
    reserved: Decimal
    labels: int
    surplus_labels: int
    prompts: int
    pending_prompts: int
    open_pairs: int
    held: int
    lapsed: int
    unplanned_prompts: int


async def project_gauges(session: AsyncSession) -> list[ProjectGauges]:
    """Every project, by name.

    Counters of ``projects`` and ``project_intake``, and three counts over partial indexes that hold
    the plan, the held assignments and what has not arrived in the plan: ``ix_pairs_open``,
    ``ix_assignments_lease``, ``ix_prompts_unplanned``.
    """
    is_lapsed = Assignment.expires_at < func.clock_timestamp()
    held = (
        select(
            Assignment.project_id,
            func.count().filter(~is_lapsed).label("held"),
            func.count().filter(is_lapsed).label("lapsed"),
        )
        .where(Assignment.status == "held")
        .group_by(Assignment.project_id)
        .subquery()
    )
    planned = (
        select(Pair.project_id, func.count().label("pairs"))
        .where(Pair.open)
        .group_by(Pair.project_id)
        .subquery()
    )
    unplanned = (
        select(Prompt.project_id, func.count().label("prompts"))
        .where(Prompt.status == "ready", Prompt.group_id.is_(None))
        .group_by(Prompt.project_id)
        .subquery()
    )
    rows = await session.execute(
        select(
            Project.name,
            Project.unit,
            Project.budget_limit,
            Project.spent,
            Project.reserved,
            Project.counted_labels,
            Project.surplus_labels,
            ProjectIntake.prompts,
            ProjectIntake.pending,
            func.coalesce(planned.c.pairs, 0),
            func.coalesce(held.c.held, 0),
            func.coalesce(held.c.lapsed, 0),
            func.coalesce(unplanned.c.prompts, 0),
        )
        .join(ProjectIntake, ProjectIntake.project_id == Project.id)
        .outerjoin(planned, planned.c.project_id == Project.id)
        .outerjoin(held, held.c.project_id == Project.id)
        .outerjoin(unplanned, unplanned.c.project_id == Project.id)
        .order_by(Project.name)
    )
    return [ProjectGauges(*row) for row in rows]


async def stored_embeddings(session: AsyncSession) -> int:
    """How many responses' vectors were ever written, by Postgres' own statistics: no scan."""
    statement = text(
        "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relid = 'response_embeddings'::regclass"
    )
    return await session.scalar(statement) or 0
