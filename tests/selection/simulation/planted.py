"""Planted worlds: a known direction of preference, known noise, outliers and near-duplicates."""

import itertools

import numpy as np

from app.selection.simulation.world import LabelledPrompt, World, make_world
from tests.selection.candidate_samples import unit

DIMENSIONS = 16


def planted_world(
    *,
    prompts: int = 80,
    responses: int = 6,
    outliers: int = 0,
    strength: float = 8.0,
    votes: int = 5,
    seed: int = 0,
) -> World:
    """Responses around their prompt's topic; the first axis is what annotators like.

    Outliers stand apart along an axis that says nothing of the others' worth, and people's votes on
    them are a coin's.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(prompts):
        vectors = 0.25 * rng.standard_normal((responses, DIMENSIONS))
        vectors[:, 3] += 1.0
        if outliers:
            vectors[:outliers] = 0.25 * rng.standard_normal((outliers, DIMENSIONS))
            vectors[:outliers, 1] += rng.choice([-2.0, 2.0], size=outliers)
        embeddings = unit(vectors)
        worth = strength * embeddings[:, 0].astype(np.float64)
        worth[:outliers] = np.nan
        gaps = np.array(
            [worth[i] - worth[j] for i, j in itertools.combinations(range(responses), 2)]
        )
        chance = np.where(np.isnan(gaps), 0.5, 1 / (1 + np.exp(-np.nan_to_num(gaps))))
        first = rng.binomial(votes, chance)
        counts = np.stack([first, np.zeros_like(first), votes - first], axis=1)
        prompt = unit(rng.standard_normal((1, DIMENSIONS)))[0]
        found.append(LabelledPrompt(prompt, embeddings, counts.astype(np.int64), worth))
    return make_world(found)
