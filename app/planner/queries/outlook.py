"""SQL over projects: what there is to do, and who may do it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.prompts.question import QUESTION_VERSION
from app.selection.cost import Pricing
from app.selection.ordering import earliest_position
from app.settings import PLAN_AHEAD
from app.storage.predicates import (
    ARRIVING_PROMPT,
    FRESH_PROMPT,
    OUTGROWN_PROMPT,
    PLANNABLE_PROMPT,
    RELEASABLE_IMPORT,
    UNSEEN_PAIR,
)
from app.storage.sql import fill, statement
from app.vectors.marks import Position, VectorSource


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """The settings of a project that pairs already in the plan depend on."""

    strategy: str
    labels_per_pair: int
    overlap_share: float
    overlap_labels: int
    pairs_per_prompt: int | None
    pricing: Pricing | None
    """What pairs cost where the budget is in minutes or money; None: each pair costs one label."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """A project, and what there is to do for its plan."""

    project_id: int
    seed: int
    settings: PlanSettings
    exploration: float
    cost: Pricing
    counted_labels: int
    dimensions: int | None
    grouped_by: VectorSource
    """The vectors that its prompts are grouped by."""
    ended_import: bool
    """Prompts wait to be released, because the import that added to them has ended."""
    arriving: bool
    """Embedded prompts have not arrived."""
    outgrown: bool
    """Prompts got responses after their pairs were chosen."""
    foreign: bool
    """Unseen pairs were chosen by another strategy than the project's."""
    last_question: Position
    """The last row of ``question_embeddings``: the embedder adds those of old prompts later."""
    last_erased: Position
    """The last row of ``erased_prompts``."""
    plannable: bool
    """A prompt has pairs that are not in the plan."""
    earliest_position: float | None
    """The position of the next such pair, if the strategy goes round by round."""
    horizon: float | None
    """The position of the last pair of the nearer half of the plan; None: the plan is shorter."""

    @property
    def is_low(self) -> bool:
        """Whether pairs are missing before the horizon, if the strategy goes round by round."""
        if self.earliest_position is None:
            return False
        return self.horizon is None or self.earliest_position < self.horizon


_NEXT_PROMPT = """
    SELECT 1 AS round, exploration, pairs_planned AS turn, near_duplicate, order_key
    FROM prompts
    WHERE project_id = project.id AND exploration = {exploration} AND {plannable}
      AND pairs_planned < coalesce(project.pairs_per_prompt, 2147483647)
    ORDER BY exploration, pairs_planned, near_duplicate, order_key, id
    LIMIT 1
"""

_NEXT_FRESH_PROMPT = fill(
    """
    SELECT next_round AS round, exploration, next_place AS turn, near_duplicate, order_key
    FROM prompts
    WHERE project_id = project.id AND {fresh}
      AND pairs_planned < coalesce(project.pairs_per_prompt, 2147483647)
    ORDER BY next_round DESC, exploration, next_place, near_duplicate, order_key, id
    LIMIT 1
    """,
    fresh=FRESH_PROMPT,
)

_OUTLOOK = statement(
    """
    SELECT project.id, project.seed, project.strategy, project.labels_per_pair,
        project.overlap_share, project.overlap_labels, project.pairs_per_prompt,
        project.exploration, project.unit, project.cost_seconds_base,
        project.cost_words_per_minute, project.counted_labels, project.embedding_dimensions,
        project.embedding_source,
        EXISTS (
            SELECT FROM imports WHERE project_id = project.id AND {releasable}
        ) AS ended_import,
        EXISTS (
            SELECT FROM prompts WHERE project_id = project.id AND {arriving}
        ) AS arriving,
        EXISTS (
            SELECT FROM prompts WHERE project_id = project.id AND {outgrown}
        ) AS outgrown,
        EXISTS (
            SELECT FROM pairs
            WHERE project_id = project.id AND {unseen} AND strategy < project.strategy
        ) OR EXISTS (
            SELECT FROM pairs
            WHERE project_id = project.id AND {unseen} AND strategy > project.strategy
        ) AS foreign_pairs,
        asked.written_by AS asked_by, asked.prompt_id AS asked_id,
        erased.written_by AS erased_by, erased.prompt_id AS erased_id,
        next.round AS next_round, next.exploration AS next_exploration, next.turn AS next_turn,
        next.near_duplicate AS next_near_duplicate, next.order_key AS next_order_key,
        horizon.position AS horizon
    FROM projects AS project
    LEFT JOIN LATERAL (
        SELECT written_by::text::bigint, prompt_id FROM question_embeddings
        WHERE project_id = project.id AND version = {question_version}
        ORDER BY question_embeddings.written_by DESC, prompt_id DESC
        LIMIT 1
    ) AS asked ON true
    LEFT JOIN LATERAL (
        SELECT written_by::text::bigint, prompt_id FROM erased_prompts
        WHERE project_id = project.id
        ORDER BY erased_prompts.written_by DESC, prompt_id DESC
        LIMIT 1
    ) AS erased ON true
    LEFT JOIN LATERAL (
        ({next_fresh_prompt}) UNION ALL ({next_prompt}) UNION ALL ({next_exploration_prompt})
        ORDER BY round DESC, exploration
        LIMIT 1
    ) AS next ON true
    LEFT JOIN LATERAL (
        SELECT position FROM pairs
        WHERE project_id = project.id AND arm = 'strategy' AND open AND NOT handed_out
        ORDER BY position, id
        OFFSET {before_horizon} LIMIT 1
    ) AS horizon ON next.order_key IS NOT NULL
    WHERE project.id = ANY(CAST(:ids AS bigint[]))
    ORDER BY project.id
    """,
    arriving=ARRIVING_PROMPT,
    outgrown=OUTGROWN_PROMPT,
    releasable=RELEASABLE_IMPORT,
    unseen=UNSEEN_PAIR,
    next_fresh_prompt=_NEXT_FRESH_PROMPT,
    next_prompt=fill(_NEXT_PROMPT, exploration="false", plannable=PLANNABLE_PROMPT),
    next_exploration_prompt=fill(_NEXT_PROMPT, exploration="true", plannable=PLANNABLE_PROMPT),
    before_horizon=str(PLAN_AHEAD // 2 - 1),
    question_version=str(QUESTION_VERSION),
)

_HOLD_PROJECT = text("SELECT id FROM projects WHERE id = :id FOR KEY SHARE")
_ONE_WRITER = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('plan of project ' || CAST(:id AS bigint), 0))"
)
_EXISTING = text("SELECT id FROM projects WHERE id = ANY(CAST(:ids AS bigint[]))")


async def read_outlooks(session: AsyncSession, project_ids: Collection[int]) -> list[Outlook]:
    """What there is to do in each of these projects; deleted ones are left out.

    Served by ``ix_prompts_unplanned``, ``ix_prompts_outgrown``, ``ix_prompts_plannable``,
    ``ix_prompts_fresh``,
    ``ix_pairs_untouched``, ``ix_pairs_open``, ``ix_question_embeddings_catch_up`` and
    ``ix_erased_prompts_catch_up``.
    """
    rows = await session.execute(_OUTLOOK, {"ids": list(project_ids)})
    return [_outlook(row) for row in rows]


def _outlook(row: Row[Any]) -> Outlook:
    cost = Pricing(row.cost_seconds_base, row.cost_words_per_minute)
    asks = row.embedding_source != "caller"
    return Outlook(
        project_id=row.id,
        seed=row.seed,
        settings=PlanSettings(
            strategy=row.strategy,
            labels_per_pair=row.labels_per_pair,
            overlap_share=row.overlap_share,
            overlap_labels=row.overlap_labels,
            pairs_per_prompt=row.pairs_per_prompt,
            pricing=None if row.unit == "labels" else cost,
        ),
        exploration=row.exploration,
        cost=cost,
        counted_labels=row.counted_labels,
        dimensions=row.embedding_dimensions,
        grouped_by=VectorSource(row.id, QUESTION_VERSION if asks else None),
        ended_import=row.ended_import,
        arriving=row.arriving,
        outgrown=row.outgrown,
        foreign=row.foreign_pairs,
        last_question=Position(row.asked_by or 0, row.asked_id or 0),
        last_erased=Position(row.erased_by or 0, row.erased_id or 0),
        plannable=row.next_order_key is not None,
        earliest_position=None
        if row.next_order_key is None
        else earliest_position(
            of_round=row.next_round,
            turn=row.next_turn,
            near_duplicate=row.next_near_duplicate,
            order_key=row.next_order_key,
            after_all_others=row.next_exploration,
        ),
        horizon=row.horizon,
    )


async def begin_planning(session: AsyncSession, project_id: int) -> Outlook | None:
    """Become the one transaction that changes the project's plan; None: it has been deleted.

    A planner that has lost its connection, and its projects, without knowing waits here for the one
    that took them over. The project's row is locked against deletion only: claims do not wait.
    """
    await session.execute(_ONE_WRITER, {"id": project_id})
    if await session.scalar(_HOLD_PROJECT, {"id": project_id}) is None:
        return None
    [outlook] = await read_outlooks(session, [project_id])
    return outlook


async def find_existing(session: AsyncSession, project_ids: Collection[int]) -> set[int]:
    """Those of the projects that exist."""
    return set(await session.scalars(_EXISTING, {"ids": list(project_ids)}))
