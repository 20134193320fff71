"""The held-out prompts of a split, and how well a model does on them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import Float64Array, FloatArray, IntArray
from app.selection.candidates import blocks_of
from app.selection.model.features import FeatureMap
from app.selection.model.posterior import Posterior, log_losses, preference_probability
from app.selection.pair_grid import pair_columns
from app.selection.simulation.measures import Measure
from app.selection.simulation.world import FIRST, TIE, LabelledPrompt, World, candidates

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The pairs of the held-out prompts that have votes, and their responses."""

    places: IntArray
    """Indices of the held-out prompts in the world, ``(prompts,)``."""
    differences: NDArray[np.float64]
    """Of features, ``(pairs, features)``, over all held-out prompts."""
    shares: Float64Array
    """The share of the votes for the first response, a tie as half a vote: ``(pairs,)``."""
    owners: IntArray
    """Which held-out prompt each pair belongs to: ``(pairs,)``."""
    features: tuple[FloatArray, ...]
    """Of the responses of each held-out prompt: ``(k, features)``."""
    gold: tuple[FloatArray | None, ...]
    """Of the responses of each held-out prompt, scaled to 0 (worst) … 1 (best); NaN: not known."""

    def scores(self, posterior: Posterior) -> Mapping[Measure, Float64Array]:
        """The sum of each measure over the pairs (or picks) of each prompt: ``(prompts,)``."""
        gaps = self.differences @ posterior.mean
        majority = np.sign(self.shares - _HALF)
        right = np.where(majority != 0, (np.sign(gaps) * majority + 1) / 2, 0.0)
        p = preference_probability(gaps, posterior.variances(self.differences))
        agreed = np.where(p > _HALF, self.shares - p, p - self.shares)
        picked = np.array(
            [
                0.0 if gold is None else _picked_gold(features @ posterior.mean, gold)
                for features, gold in zip(self.features, self.gold, strict=True)
            ]
        )
        return {
            Measure.ACCURACY: self._per_prompt(right),
            Measure.LOG_LOSS: self._per_prompt(log_losses(p, self.shares)),
            Measure.GOLD: picked,
            Measure.TIMIDITY: self._per_prompt(agreed),
        }

    @property
    def counts(self) -> Mapping[Measure, Float64Array]:
        """What the sums are divided by: pairs with a majority, pairs, picks; ``(prompts,)``."""
        pairs = self._per_prompt(np.ones(len(self.shares)))
        return {
            Measure.ACCURACY: self._per_prompt((self.shares != _HALF).astype(np.float64)),
            Measure.LOG_LOSS: pairs,
            Measure.GOLD: np.array([float(gold is not None) for gold in self.gold]),
            Measure.TIMIDITY: pairs,
        }

    def _per_prompt(self, values: Float64Array) -> Float64Array:
        sums = np.bincount(self.owners, weights=values, minlength=len(self.places))
        return np.asarray(sums, dtype=np.float64)


def hold_out(world: World, places: IntArray, feature_map: FeatureMap) -> HeldOut:
    """The prompts at the indices ``places``."""
    features = _features(world, places, feature_map)
    differences, owners, shares = [], [], []
    for number, place in enumerate(places):
        votes = world.prompts[place].votes
        columns = np.flatnonzero(votes.sum(axis=1))
        first, second = pair_columns(len(world.prompts[place].responses))
        differences.append(features[number][first[columns]] - features[number][second[columns]])
        owners.append(np.full(len(columns), number))
        voted = votes[columns]
        shares.append((voted[:, FIRST] + _HALF * voted[:, TIE]) / voted.sum(axis=1))
    return HeldOut(
        places,
        np.concatenate(differences),
        np.concatenate(shares),
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
