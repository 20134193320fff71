"""Prompts arrive in the plan: what is fixed once, for all that comes after.

A prompt arrives when its embedding is read, in the order of the transactions that wrote them. The
index holds the prompts that have arrived, all of them and no other, so that "the nearest earlier
prompt" is a search in it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.planner.pairs import ChosenPair, price
from app.planner.queries import arrivals as queries
from app.planner.queries import pairs as pair_queries
from app.planner.queries.arrivals import Arrival
from app.planner.queries.outlook import Outlook
from app.selection.arrays import IntArray
from app.selection.draws import exploration_draw, exploration_pair, order_key
from app.selection.groups import GroupedPrompts, assign_groups
from app.settings import NEAR_DUPLICATE_SIMILARITY
from app.storage.arm import Arm
from app.storage.notifications import Channel, notify
from app.storage.sql import lock_prompts
from app.vectors.service import Additions, Position, VectorIndex, read_additions
from app.vectors.stored import StoredVectors, response_vectors

_NEIGHBOURS = 4
_STORED_ERROR = 0.002
"""What float16 storage may take off a similarity in the index: what is near is read exactly."""
_UNIFORM = "random"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One part of the embeddings, its newcomers' arrival written."""

    additions: Additions
    prompt_ids: Sequence[int]
    """The newcomers."""


async def arrive(
    session: AsyncSession, project: Outlook, index: VectorIndex, position: Position
) -> Arrived:
    """Read the next embeddings, and fix the group and the draws of the prompts that are new.

    The caller commits, and only then adds the newcomers to the index.

    Raises:
        InvalidVector: a stored vector has not the project's dimensions.
    """
    assert project.dimensions is not None
    additions = await read_additions(session, project.project_id, position, project.dimensions)
    newcomers = await queries.find_newcomers(session, additions.ids.tolist())
    is_new = np.isin(additions.ids, np.array(sorted(newcomers), dtype=np.int64))
    await asyncio.to_thread(index.add, additions.ids[~is_new], additions.vectors[~is_new])
    if newcomers:
        await _fix(session, project, index, additions.ids[is_new], additions.vectors[is_new])
    return Arrived(additions, sorted(newcomers))


async def _fix(
    session: AsyncSession,
    project: Outlook,
    index: VectorIndex,
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
) -> None:
    by_id = np.argsort(ids)
    ids, vectors = ids[by_id], vectors[by_id]
    earlier = await _possible_duplicates(session, index, vectors)
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
    await _draw_exploration_pairs(session, project, arrivals)
    await notify(session, Channel.PLAN_CHANGED, str(project.project_id))
    await lock_prompts(session, ids.tolist())
    await queries.fix_arrivals(session, project.project_id, arrivals)


async def _possible_duplicates(
    session: AsyncSession, index: VectorIndex, vectors: NDArray[np.float32]
) -> GroupedPrompts:
    similarities, neighbours = await asyncio.to_thread(index.search, vectors, _NEIGHBOURS)
    near = np.unique(neighbours[similarities >= NEAR_DUPLICATE_SIMILARITY - _STORED_ERROR])
    return await queries.read_grouped(session, near.tolist(), index.dimensions)


async def _draw_exploration_pairs(
    session: AsyncSession, project: Outlook, arrivals: Sequence[Arrival]
) -> None:
    exploring = [arrival for arrival in arrivals if arrival.exploration]
    if not exploring:
        return
    ids = [arrival.prompt_id for arrival in exploring]
    responses = await queries.read_response_ids(session, ids)
    drawn = {  # without prompts that were deleted meanwhile
        prompt_id: exploration_pair(prompt_id, project.seed, own)
        for prompt_id, own in responses.items()
    }
    both = {
        prompt_id: np.array([pair.first_response_id, pair.second_response_id])
        for prompt_id, pair in drawn.items()
    }
    assert project.dimensions is not None
    vectors = await response_vectors(
        session, np.array(list(both.values()), dtype=np.int64), project.dimensions
    )
    chosen = []
    for arrival in exploring:
        if arrival.prompt_id not in drawn:
            continue
        pair = drawn[arrival.prompt_id]
        chosen.append(
            ChosenPair(
                prompt_id=arrival.prompt_id,
                first_response_id=pair.first_response_id,
                second_response_id=pair.second_response_id,
                similarity=_similarity(vectors, both[arrival.prompt_id]),
                arm=Arm.EXPLORATION,
                strategy=_UNIFORM,
                propensity=pair.propensity,
                position=arrival.order_key,
            )
        )
    await pair_queries.insert_pairs(
        session, project.project_id, await price(session, project, chosen)
    )


def _similarity(vectors: StoredVectors, response_ids: IntArray) -> float | None:
    """The pair's cosine; None where a response was added lately and has no vector yet."""
    if not vectors.has(response_ids).all():
        return None
    first, second = vectors.of(response_ids)
    return float(first @ second)
