"""Fit the rewards of a project's labelled responses, within the snapshot of an export."""

from contextlib import aclosing
from typing import Final

import numpy as np
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import RecipeUnfilled
from app.exports.queries import pairs as queries
from app.exports.queries import rewards as reward_queries
from app.exports.queries.pairs import Source
from app.exports.rewards import Comparisons, FoundRewards, Rewards, posterior_mode
from app.preference.answers import fit_answers
from app.preference.features import find_features, read_answers
from app.selection.arrays import Float64Array
from app.selection.model.features import interactions

_NO_PREFERENCES: Final = (
    "the recipe needs rewards, which are fitted from labels that prefer one response to another:"
    " the project has none yet"
)
_NO_VECTORS: Final = (
    "the recipe needs rewards, which are fitted to the embeddings of labelled prompts and"
    " responses: the project has none yet"
)


async def fit_rewards(session: AsyncSession, source: Source) -> Rewards:
    """The rewards of all responses that labels compare.

    The preference model is fitted to a sample of the labels. Then all labels are read once, some
    prompts at a time, and three numbers a response are kept in memory.

    Raises:
        RecipeUnfilled: no label prefers a response, or nothing labelled has a vector.
    """
    if not await queries.has_preference(session, source):
        raise RecipeUnfilled(_NO_PREFERENCES)
    project = await queries.read_project(session, source.project_id)
    dimensions = project.embedding_dimensions
    if dimensions is None:
        raise RecipeUnfilled(_NO_VECTORS)
    weights = await _fit_weights(session, source, dimensions)
    if weights is None:
        raise RecipeUnfilled(_NO_VECTORS)
    found = FoundRewards()
    parts = reward_queries.stream_comparisons(session, source, dimensions)
    async with aclosing(parts):
        async for part in parts:
            found.add(part, await run_in_threadpool(_rewards_of, part, weights))
    return await run_in_threadpool(found.standardised)


async def _fit_weights(
    session: AsyncSession, source: Source, dimensions: int
) -> Float64Array | None:
    """The preference model's posterior mean θ as weights of φ(x, y); None if there is no model."""
    feature_map = await find_features(session, source.project_id, dimensions)
    if feature_map is None:
        return None
    answers = await read_answers(
        session, source.project_id, dimensions, feature_map, surplus=source.surplus
    )
    if answers is None:
        return None
    posterior = await run_in_threadpool(fit_answers, answers)
    return np.asarray(feature_map.basis @ posterior.mean, dtype=np.float64)


def _rewards_of(part: Comparisons, weights: Float64Array) -> Float64Array:
    expected = interactions(part.prompts, part.responses[:, None])[:, 0] @ weights
    return posterior_mode(part, np.asarray(expected, dtype=np.float64))
