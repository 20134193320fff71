"""The held-out prompts of a split, and how well a model does on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import blocks_of
from app.selection.model.features import FeatureMap
from app.selection.model.posterior import Posterior
from app.selection.pair_grid import pair_columns
from app.selection.simulation.world import FIRST, SECOND, LabelledPrompt, World, candidates

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Differences of features, oriented so that the majority prefers a positive gap."""

    places: IntArray
    """Indices of the held-out prompts in the world, ``(prompts,)``."""
    differences: NDArray[np.float64]
    """``(pairs, features)``, over all held-out prompts."""
    owners: IntArray
    """Which held-out prompt each pair belongs to: ``(pairs,)``."""
    features: tuple[FloatArray, ...]
    """Of the responses of each held-out prompt: ``(k, features)``."""
    gold: tuple[FloatArray | None, ...]
    """Of the responses of each held-out prompt, scaled to 0 (worst) … 1 (best); NaN: not known."""

    def scores(self, posterior: Posterior) -> tuple[FloatArray, FloatArray]:
        """How many pairs the model orders as the majority, and the gold of the response it picks.

        Both a held-out prompt, ``(prompts,)``. A gap of zero counts as half a pair. Gold is NaN if
        it is not known; only responses whose gold is known are picked.
        """
        gaps = self.differences @ posterior.mean
        right = np.where(gaps > 0, 1.0, np.where(gaps == 0, _HALF, 0.0))
        correct = np.zeros(len(self.places))
        np.add.at(correct, self.owners, right)
        picked = [
            np.nan if gold is None else _picked_gold(features @ posterior.mean, gold)
            for features, gold in zip(self.features, self.gold, strict=True)
        ]
        return correct, np.array(picked, dtype=np.float64)

    @property
    def pairs(self) -> FloatArray:
        """How many pairs each held-out prompt has: ``(prompts,)``."""
        return np.bincount(self.owners, minlength=len(self.places)).astype(np.float64)


def hold_out(world: World, places: IntArray, feature_map: FeatureMap) -> HeldOut:
    """The prompts at the indices ``places``; pairs without a majority are left out."""
    features = _features(world, places, feature_map)
    differences, owners = [], []
    for number, place in enumerate(places):
        votes = world.prompts[place].votes
        majority = np.sign(votes[:, FIRST] - votes[:, SECOND])
        columns = np.flatnonzero(majority)
        first, second = pair_columns(len(world.prompts[place].responses))
        gap = features[number][first[columns]] - features[number][second[columns]]
        differences.append(gap * majority[columns, None])
        owners.append(np.full(len(columns), number))
    return HeldOut(
        places,
        np.concatenate(differences),
        np.concatenate(owners),
        tuple(features),
        tuple(_scaled_gold(world.prompts[place]) for place in places),
    )


def _features(world: World, places: IntArray, feature_map: FeatureMap) -> list[FloatArray]:
    of_prompt: dict[int, FloatArray] = {}
    for block in blocks_of(candidates(world, np.zeros(len(world.prompts)), places)):
        found = feature_map.features(block)
        of_prompt |= {int(place): found[row] for row, place in enumerate(block.prompt_ids)}
    return [of_prompt[int(place)] for place in places]


def _picked_gold(rewards: FloatArray, gold: FloatArray) -> float:
    return float(gold[int(np.where(np.isnan(gold), -np.inf, rewards).argmax())])


def _scaled_gold(prompt: LabelledPrompt) -> FloatArray | None:
    if prompt.gold is None:
        return None
    gold = np.asarray(prompt.gold, dtype=np.float64)
    low, high = float(np.nanmin(gold)), float(np.nanmax(gold))
    return None if low == high else (gold - low) / (high - low)
