"""SQL of the metrics: the whole service, in a few cheap queries."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.predicates import ARRIVING_PROMPT, HELD_ASSIGNMENT
from app.storage.tables import Assignment, Pair, Project, ProjectIntake, Prompt


@dataclass(frozen=True, slots=True)
class ProjectGauges:
    """One project now. ``lapsed`` assignments have an expired lease; the next claim frees them."""

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

    Served by counters of ``projects`` and ``project_intake``, and by the partial indexes
    ``ix_pairs_open``, ``ix_assignments_lease`` and ``ix_prompts_unplanned``.
    """
    is_lapsed = Assignment.expires_at < func.clock_timestamp()
    held = (
        select(
            Assignment.project_id,
            func.count().filter(~is_lapsed).label("held"),
            func.count().filter(is_lapsed).label("lapsed"),
        )
        .where(text(HELD_ASSIGNMENT))
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
        .where(text(ARRIVING_PROMPT))
        .group_by(Prompt.project_id)
        .subquery()
    )
    rows = await session.execute(
        select(
            Project.name,
            Project.unit,
            Project.budget_limit.label("limit"),
            Project.spent,
            Project.reserved,
            Project.counted_labels.label("labels"),
            Project.surplus_labels,
            ProjectIntake.prompts,
            ProjectIntake.pending.label("pending_prompts"),
            func.coalesce(planned.c.pairs, 0).label("open_pairs"),
            func.coalesce(held.c.held, 0).label("held"),
            func.coalesce(held.c.lapsed, 0).label("lapsed"),
            func.coalesce(unplanned.c.prompts, 0).label("unplanned_prompts"),
        )
        .join(ProjectIntake, ProjectIntake.project_id == Project.id)
        .outerjoin(planned, planned.c.project_id == Project.id)
        .outerjoin(held, held.c.project_id == Project.id)
        .outerjoin(unplanned, unplanned.c.project_id == Project.id)
        .order_by(Project.name)
    )
    return [ProjectGauges(**row._mapping) for row in rows]


async def stored_embeddings(session: AsyncSession) -> int:
    """How many response vectors were ever written, from PostgreSQL's statistics: no scan."""
    statement = text(
        "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relid = 'response_embeddings'::regclass"
    )
    return await session.scalar(statement) or 0
