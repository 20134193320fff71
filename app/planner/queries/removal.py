"""SQL that takes pairs out of the plan which nobody has seen."""

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries.outlook import OUTGROWN, UNTOUCHED, PlanSettings
from app.planner.queries.pairs import count_pairs
from app.storage.sql import lock_prompts

_OUTGROWN = text(f"""
    SELECT id FROM prompts WHERE project_id = :project_id AND {OUTGROWN}
    ORDER BY id LIMIT :limit FOR NO KEY UPDATE
""")  # noqa: S608 - put together from the constants above
_DELETE_OF_PROMPTS = text(f"""
    DELETE FROM pairs WHERE prompt_id = ANY(CAST(:ids AS bigint[])) AND {UNTOUCHED}
    RETURNING prompt_id
""")  # noqa: S608 - as above
_CONSIDERED = text("""
    UPDATE prompts SET pairs_considered = pairs_total WHERE id = ANY(CAST(:ids AS bigint[]))
""")
_OVER_BOUND = text(f"""
    SELECT DISTINCT pairs.prompt_id
    FROM pairs JOIN prompts ON prompts.id = pairs.prompt_id
    WHERE pairs.project_id = :project_id AND prompts.pairs_planned > :most AND {UNTOUCHED}
""")  # noqa: S608 - as above
_DELETE_OVER_BOUND = text(f"""
    DELETE FROM pairs USING (
        SELECT id, row_number() OVER (
            PARTITION BY prompt_id ORDER BY ({UNTOUCHED}), position, id
        ) AS place
        FROM pairs WHERE prompt_id = ANY(CAST(:ids AS bigint[]))
    ) AS placed
    WHERE pairs.id = placed.id AND placed.place > :most AND {UNTOUCHED}
    RETURNING prompt_id
""")  # noqa: S608 - as above
_RENEW_LABELS_WANTED = text("""
    UPDATE pairs SET labels_wanted = wanted.labels
    FROM (
        SELECT id, CASE WHEN overlap_draw < :overlap_share
            THEN greatest(:labels_per_pair, :overlap_labels) ELSE :labels_per_pair END AS labels
        FROM pairs WHERE project_id = :project_id AND NOT handed_out AND arm <> 'imported'
    ) AS wanted
    WHERE pairs.id = wanted.id AND labels_wanted <> wanted.labels AND NOT handed_out
""")


async def take_out_outgrown(session: AsyncSession, project_id: int, limit: int) -> list[int]:
    """Take out the untouched pairs of prompts that got responses since; gives the prompts."""
    outgrown = await session.scalars(_OUTGROWN, {"project_id": project_id, "limit": limit})
    ids = list(outgrown)
    if ids:
        await _take_off(session, await session.scalars(_DELETE_OF_PROMPTS, {"ids": ids}))
        await session.execute(_CONSIDERED, {"ids": ids})
    return ids


async def apply_settings(session: AsyncSession, project_id: int, settings: PlanSettings) -> int:
    """Make untouched pairs fit the project's settings; gives how many had to leave the plan."""
    await session.execute(
        _RENEW_LABELS_WANTED,
        {
            "project_id": project_id,
            "overlap_share": settings.overlap_share,
            "labels_per_pair": settings.labels_per_pair,
            "overlap_labels": settings.overlap_labels,
        },
    )
    if settings.pairs_per_prompt is None:
        return 0
    parameters = {"project_id": project_id, "most": settings.pairs_per_prompt}
    ids = (await session.scalars(_OVER_BOUND, parameters)).all()
    await lock_prompts(session, ids)
    deleted = await session.scalars(
        _DELETE_OVER_BOUND, {"ids": ids, "most": settings.pairs_per_prompt}
    )
    return await _take_off(session, deleted)


async def _take_off(session: AsyncSession, deleted: Iterable[int]) -> int:
    """Note at their prompts that pairs have left the plan; gives how many."""
    counts = Counter(deleted)
    await count_pairs(session, {prompt_id: -pairs for prompt_id, pairs in counts.items()})
    return counts.total()
