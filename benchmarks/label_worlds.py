"""More worlds to test strategies on, made of a file whose responses have scores.

A file with dozens of responses a prompt is many files: each prompt's responses are dealt out into
sets of ``k``, and each set is a prompt of its own. Answers are drawn from the scores (Bradley–Terry
on the standardised scores), so that every pair has one. All prompts of one text stand in the world
as often as there are sets of it, so a held-out prompt's text may be in the pool with other
responses. Or the answers of any file are drawn anew from the model that its own votes teach.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.selection.model.preference import fit_preferences
from app.selection.pair_grid import gram_matrices, mean_similarities, pair_columns
from app.selection.simulation.held_out import hold_out
from app.selection.simulation.simulate import feature_map_of
from app.selection.simulation.world import LabelledPrompt, World

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
            style = None if prompt.style is None else prompt.style[kept]
            prompts.append(LabelledPrompt(prompt.embedding, responses, votes, worth, words, style))
    return World(prompts, np.zeros(len(prompts), dtype=np.bool_))


def planted(world: World, *, seed: int = 0) -> World:
    """The same prompts and responses; answers drawn from the model, fitted to all of the votes.

    So the model is exactly right here, and what a strategy gains is all that it can gain.

    Args:
        world: a file with votes.
        seed: of the answers.
    """
    rng = np.random.default_rng([seed, len(world.prompts)])
    feature_map = feature_map_of(world)
    everywhere = np.arange(len(world.prompts))
    labels = hold_out(world, everywhere, feature_map)
    posterior = fit_preferences(
        feature_map.feature_set, labels.differences, labels.shares, labels.owners
    )
    prompts = []
    for prompt, features in zip(world.prompts, labels.features, strict=True):
        worth = np.asarray(features @ posterior.mean, dtype=np.float64)
        prompts.append(replace(prompt, votes=_votes(worth, rng), gold=worth))
    return World(prompts, world.near_duplicate)


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
