"""More worlds to test strategies on, made of a file whose responses have scores.

A file with dozens of responses a prompt is many files: each prompt's responses are dealt out into
sets of ``k``, and each set is a prompt of its own. Answers are drawn from the scores (Bradley–Terry
on the standardised scores), so that every pair has one. Or from a preference that is planted on the
same vectors, where no score has a say. All prompts of one text stand in the world as often as there
are sets of it, so a held-out prompt's text may be in the pool with other responses.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.selection.candidates import blocks_of
from app.selection.model.features import side_features
from app.selection.pair_grid import gram_matrices, mean_similarities, pair_columns
from app.selection.simulation.simulate import feature_map_of
from app.selection.simulation.world import LabelledPrompt, World, candidates

STRENGTH = 1.5
"""The gap of one standard deviation of the scores, in units of the logistic function."""
_OUTLIER_DEVIATIONS = 2.5
_NORMAL_MAD = 1.4826

Floats = NDArray[np.float64]


def in_sets(world: World, k: int, *, outliers: bool = True, seed: int = 0) -> World:
    """The world with sets of ``k`` responses, and answers by their scores.

    Args:
        world: its responses have gold scores; those without one are left out.
        k: responses of a prompt.
        outliers: False: without responses whose mean similarity to the prompt's others is more than
            2.5 (normalised) median absolute deviations below the prompt's median.
        seed: of the sets and of the answers.
    """
    rng = np.random.default_rng([seed, k])
    gold = np.concatenate([_centred(prompt) for prompt in world.prompts])
    unit = float(np.nanstd(gold)) / STRENGTH
    prompts = []
    for prompt in world.prompts:
        for kept in _sets(prompt, k, outliers, rng):
            worth = np.asarray(prompt.gold, dtype=np.float64)[kept]
            words = None if prompt.words is None else np.asarray(prompt.words)[kept]
            votes = _votes(worth / unit, rng)
            responses = prompt.responses[kept]
            prompts.append(LabelledPrompt(prompt.embedding, responses, votes, worth, words))
    return World(prompts, np.zeros(len(prompts), dtype=np.bool_))


def planted(world: World, *, length: float, typicality: float, seed: int = 0) -> World:
    """The same vectors; answers by a random direction of the model's features, and by more.

    Args:
        world: where the vectors come from.
        length: how much a response gains by one unit of log words.
        typicality: how much it gains by one standard deviation of its mean similarity to others.
        seed: of the direction and of the answers.
    """
    rng = np.random.default_rng([seed, len(world.prompts)])
    feature_map = feature_map_of(world, with_side_features=False)
    direction = rng.standard_normal(feature_map.basis.shape[1])
    everywhere = np.arange(len(world.prompts))
    blocks = blocks_of(candidates(world, np.zeros(len(everywhere)), everywhere))
    sides = np.concatenate([side_features(block)[..., 0].ravel() for block in blocks])
    prompts: list[LabelledPrompt | None] = [None] * len(world.prompts)
    for block in blocks:
        side = side_features(block)
        worth = feature_map.features(block) @ direction
        worth += length * side[..., 1] + typicality * side[..., 0] / sides.std()
        for row, place in enumerate(block.prompt_ids):
            old = world.prompts[place]
            votes = _votes(worth[row], rng)
            prompts[place] = LabelledPrompt(
                old.embedding, old.responses, votes, worth[row], old.words
            )
    return World([each for each in prompts if each is not None], world.near_duplicate)


def _sets(
    prompt: LabelledPrompt, k: int, outliers: bool, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    usable = ~np.isnan(_centred(prompt))
    if not outliers:
        [similar] = mean_similarities(gram_matrices(prompt.responses[None].astype(np.float64)))
        middle = np.median(similar)
        deviation = _NORMAL_MAD * np.median(np.abs(similar - middle))
        usable &= similar > middle - _OUTLIER_DEVIATIONS * deviation
    shuffled = rng.permutation(np.flatnonzero(usable))
    for start in range(0, len(shuffled) - k + 1, k):
        yield np.sort(shuffled[start : start + k])


def _centred(prompt: LabelledPrompt) -> Floats:
    gold = np.asarray(prompt.gold, dtype=np.float64)
    return gold - np.nanmean(gold)


def _votes(worth: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """One answer a pair: ``(pairs, 3)``."""
    first, second = pair_columns(len(worth))
    chosen = rng.random(len(first)) < 1 / (1 + np.exp(worth[second] - worth[first]))
    return np.stack([chosen, np.zeros_like(chosen), ~chosen], axis=1).astype(np.int64)
