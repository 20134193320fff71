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

from app.embedding.unit import from_bytes
from app.planner.pairs import ChosenPair, price
from app.planner.queries import arrivals as queries
from app.planner.queries import pairs as pair_queries
from app.planner.queries.arrivals import Arrival
from app.planner.queries.outlook import Outlook
from app.selection.draws import DrawnPair, exploration_draw, exploration_pair, order_key
from app.selection.groups import GroupedPrompts, assign_groups
from app.settings import NEAR_DUPLICATE_SIMILARITY
from app.storage.notifications import Channel, notify
from app.storage.sql import lock_prompts
from app.vectors.service import Additions, Position, VectorIndex, read_additions

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
    vectors = await pair_queries.read_vectors_of(session, ids)
    chosen = []
    for arrival in exploring:
        if arrival.prompt_id not in responses:
            continue  # deleted meanwhile
        pair = exploration_pair(arrival.prompt_id, project.seed, responses[arrival.prompt_id])
        chosen.append(
            ChosenPair(
                prompt_id=arrival.prompt_id,
                first_response_id=pair.first_response_id,
                second_response_id=pair.second_response_id,
                similarity=_similarity(pair, vectors, project.dimensions),
                arm="exploration",
                strategy=_UNIFORM,
                propensity=pair.propensity,
                position=arrival.order_key,
            )
        )
    await pair_queries.insert_pairs(
        session, project.project_id, await price(session, project, chosen)
    )


def _similarity(pair: DrawnPair, vectors: dict[int, bytes], dimensions: int | None) -> float | None:
    """The pair's cosine; None where a response was added lately and has no vector yet."""
    both = [vectors.get(pair.first_response_id), vectors.get(pair.second_response_id)]
    stored = [vector for vector in both if vector is not None]
    if len(stored) < len(both) or dimensions is None:
        return None
    first, second = from_bytes(stored, dimensions)
    return float(first @ second)
