"""Fix a prompt's group and draws when it arrives: once, whatever comes later."""

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.choosing import plan_pairs
from app.planner.queries import arrivals as queries
from app.planner.queries.arrivals import Arrival
from app.planner.queries.outlook import Outlook
from app.planner.queries.pairs import ChosenPair
from app.selection.arrays import IntArray
from app.selection.draws import exploration_draw, exploration_pair, order_key
from app.selection.groups import GroupedPrompts, assign_groups
from app.settings import NEAR_DUPLICATE_SIMILARITY
from app.storage.arm import Arm
from app.storage.notifications import Channel, notify
from app.storage.sql import lock_prompts
from app.vectors.index import VectorIndex
from app.vectors.stored import StoredVectors, response_vectors

_NEIGHBOURS = 4
_STORED_ERROR = 0.002
"""How far float16 storage may move a similarity in the index: near ones are computed exactly."""
_UNIFORM = "random"


async def fix_arrivals(
    session: AsyncSession,
    project: Outlook,
    index: VectorIndex,
    ids: IntArray,
    vectors: NDArray[np.float32],
) -> None:
    """Fix the groups and the draws of newcomers, and plan the pairs of exploration prompts.

    Args:
        session: the caller commits it.
        project: the newcomers' project.
        index: all prompts that arrived before, and no other.
        ids: the newcomers, ``(n,)``.
        vectors: the unit vectors that they are grouped by, ``(n, dimensions)``.
    """
    by_id = np.argsort(ids)
    ids, vectors = ids[by_id], vectors[by_id]
    earlier = await _possible_duplicates(session, project, index, vectors)
    groups = await asyncio.to_thread(
        assign_groups, ids, vectors, earlier, NEAR_DUPLICATE_SIMILARITY
    )
    arrivals = [
        Arrival(
            prompt_id=prompt_id,
            group_id=group_id,
            exploration=exploration_draw(prompt_id, project.seed, project.exploration),
            near_duplicate=group_id != prompt_id,
            order_key=order_key(prompt_id, project.seed),
        )
        for prompt_id, group_id in zip(ids.tolist(), groups.tolist(), strict=True)
    ]
    await _plan_exploration(session, project, arrivals)
    await notify(session, Channel.PLAN_CHANGED, str(project.project_id))
    await lock_prompts(session, ids.tolist())
    await queries.fix_arrivals(session, project.project_id, arrivals)


async def _possible_duplicates(
    session: AsyncSession, project: Outlook, index: VectorIndex, vectors: NDArray[np.float32]
) -> GroupedPrompts:
    similarities, neighbours = await asyncio.to_thread(index.search, vectors, _NEIGHBOURS)
    near = np.unique(neighbours[similarities >= NEAR_DUPLICATE_SIMILARITY - _STORED_ERROR])
    return await queries.read_grouped(session, project.grouped_by, near.tolist(), index.dimensions)


async def _plan_exploration(
    session: AsyncSession, project: Outlook, arrivals: Sequence[Arrival]
) -> None:
    """Draw the pairs of exploration prompts, and add them to the plan."""
    exploring = {arrival.prompt_id: arrival for arrival in arrivals if arrival.exploration}
    if not exploring:
        return
    assert project.dimensions is not None
    responses = await queries.read_response_ids(session, exploring)
    drawn = {
        prompt_id: exploration_pair(prompt_id, project.seed, response_ids)
        for prompt_id, response_ids in responses.items()
    }
    both = [(pair.first_response_id, pair.second_response_id) for pair in drawn.values()]
    response_ids = np.array(both, dtype=np.int64).reshape(len(both), 2)
    vectors = await response_vectors(session, response_ids, project.dimensions)
    chosen = [
        ChosenPair(
            prompt_id=prompt_id,
            first_response_id=pair.first_response_id,
            second_response_id=pair.second_response_id,
            similarity=_similarity(vectors, ids),
            arm=Arm.EXPLORATION,
            strategy=_UNIFORM,
            propensity=pair.propensity,
            position=exploring[prompt_id].order_key,
        )
        for (prompt_id, pair), ids in zip(drawn.items(), response_ids, strict=True)
    ]
    await plan_pairs(session, project, chosen)


def _similarity(vectors: StoredVectors, response_ids: IntArray) -> float | None:
    """The pair's cosine; None where a response was added lately and has no vector yet."""
    if not vectors.has(response_ids).all():
        return None
    first, second = vectors.of(response_ids)
    return float(first @ second)
