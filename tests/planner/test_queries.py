"""The planner's queries are served by the partial indexes that are made for them."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.queries import outlook, prompts, unseen
from tests.planner.planning import PlanWorld, unit
from tests.support.indexes import indexes


@pytest.fixture
async def session(world: PlanWorld) -> AsyncIterator[AsyncSession]:
    """A session in a database where an index pays: most prompts have all of their pairs planned."""
    rng = np.random.default_rng(5)
    await world.add_prompts(unit(rng, 1500), unit(rng, 1500, 2))
    await world.plan()
    async with world.sessions() as session:
        await session.execute(text("UPDATE pairs SET handed_out = true, counted = 1"))
        await session.execute(text("ANALYZE"))
        yield session


async def test_each_index_of_the_planner_is_used(world: PlanWorld, session: AsyncSession) -> None:
    project = {"project_id": world.project_id}
    page = {**project, "exploration": False, "pairs_per_prompt": None, "limit": 100}

    assert {
        "ix_prompts_unplanned",
        "ix_prompts_outgrown",
        "ix_prompts_plannable",
        "ix_prompts_fresh",
        "ix_pairs_untouched",
    } <= await indexes(session, outlook._OUTLOOK, {"ids": [world.project_id]})
    for by_round in (prompts._NEXT_BY_ROUND, prompts._NEXT_BY_ROUND_UNIFORMLY):
        assert "ix_prompts_plannable" in await indexes(session, by_round, page)
    assert "ix_pairs_untouched" in await indexes(session, prompts._WITH_UNSEEN_PAIRS, project)
    fresh = {**project, "pairs_per_prompt": None, "limit": 100}
    assert "ix_prompts_fresh" in await indexes(session, prompts._NEXT_FRESH, fresh)
    outgrown = {**project, "limit": 100}
    assert "ix_prompts_outgrown" in await indexes(session, unseen._LOCK_OUTGROWN, outgrown)
    settings = {**project, "overlap_share": 0.1, "labels_per_pair": 1, "overlap_labels": 2}
    assert "ix_pairs_untouched" in await indexes(session, unseen._UPDATE_LABELS_WANTED, settings)


async def test_the_end_of_the_nearer_half_is_found_in_the_order_of_the_plan(
    world: PlanWorld, session: AsyncSession
) -> None:
    # Only this index gives the order. For as few pairs as these, sorting them is as cheap.
    await session.execute(text("SET LOCAL enable_sort = off"))

    found = await indexes(session, outlook._OUTLOOK, {"ids": [world.project_id]})

    assert "ix_pairs_open" in found
