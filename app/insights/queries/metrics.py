"""SQL of the metrics: the whole service, in a few cheap queries."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.storage.predicates import ARRIVING_PROMPT, HELD_ASSIGNMENT
from app.storage.tables import Assignment, Pair, Project, ProjectIntake, Prompt


async def project_gauges(session: AsyncSession) -> Sequence[Row[*tuple[Any, ...]]]:
    """Every project, by name; a column for each metric.

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
            Project.name.label("project"),
            Project.unit,
            Project.budget_limit.label("limit"),
            Project.spent,
            Project.reserved,
            Project.counted_labels.label("labels"),
            Project.surplus_labels,
            ProjectIntake.prompts,
            ProjectIntake.pending.label("pending_prompts"),
            ProjectIntake.failed.label("failed_prompts"),
            func.coalesce(planned.c.pairs, 0).label("open_pairs"),
            func.coalesce(held.c.held, 0).label("held_assignments"),
            func.coalesce(held.c.lapsed, 0).label("lapsed_assignments"),
            func.coalesce(unplanned.c.prompts, 0).label("index_lag_prompts"),
        )
        .join(ProjectIntake, ProjectIntake.project_id == Project.id)
        .outerjoin(planned, planned.c.project_id == Project.id)
        .outerjoin(held, held.c.project_id == Project.id)
        .outerjoin(unplanned, unplanned.c.project_id == Project.id)
        .order_by(Project.name)
    )
    projects: Sequence[Row[*tuple[Any, ...]]] = rows.all()
    return projects


async def stored_embeddings(session: AsyncSession) -> int:
    """How many response vectors were ever written, from PostgreSQL's statistics: no scan."""
    statement = text(
        "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relid = 'response_embeddings'::regclass"
    )
    return await session.scalar(statement) or 0
