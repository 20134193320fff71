"""The fitted preference model: what the labels so far have taught."""

from dataclasses import dataclass

import numpy as np

from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.model.features import FeatureMap, FeatureSet
from app.selection.model.posterior import Posterior, calibrate, fit_posterior
from app.selection.pair_grid import pair_columns

PRIOR_PRECISION = 10.0
"""λ of the prior over weights of features scaled as ``fit_feature_map`` scales them."""


def fit_preferences(
    feature_set: FeatureSet,
    differences: FloatArray,
    targets: FloatArray,
    prompts: IntArray,
    *,
    weights: FloatArray | None = None,
    start: FloatArray | None = None,
) -> Posterior:
    """The posterior under this prior; with ``FeatureSet.STYLE``, one whose probabilities are right.

    Args:
        feature_set: what the features are made of.
        differences: as for ``fit_posterior``, as ``targets``, ``weights`` and ``start`` are.
        targets: of the labels.
        prompts: the prompt (or group of like prompts) of each label: ``(labels,)``.
        weights: of the labels.
        start: an earlier posterior's mean.
    """
    posterior = fit_posterior(
        differences, targets, prior_precision=PRIOR_PRECISION, weights=weights, start=start
    )
    if feature_set is not FeatureSet.STYLE:
        return posterior
    return calibrate(posterior, differences, targets, prompts, weights=weights)


@dataclass(frozen=True, slots=True)
class PreferenceModel:
    """A posterior over rewards r(x, y) = θᵀφ(x, y)."""

    feature_map: FeatureMap
    posterior: Posterior
    labels: int
    """How many labels it has learnt from."""
    labelled_prompts: FloatArray
    """Unit vectors of the prompts those labels are on: ``(labelled prompts, dimensions)``."""

    def mean_rewards(self, block: PromptBlock) -> FloatArray:
        """The expected reward of every response, ``(prompts, k)``."""
        return self.feature_map.rewards(block, self.posterior.mean)

    def pair_differences(self, block: PromptBlock) -> FloatArray:
        """z of every pair, columns as in ``pair_grid``: ``(prompts, pairs, features)``."""
        first, second = pair_columns(block.responses)
        features = self.feature_map.features(block)
        differences: FloatArray = features[:, first] - features[:, second]
        return differences

    def gaps(self, differences: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the reward gaps of ``(…, features)`` differences: ``(…,)`` twice."""
        flat = np.asarray(differences, dtype=np.float64).reshape(-1, differences.shape[-1])
        shape = differences.shape[:-1]
        means = (flat @ self.posterior.mean).reshape(shape)
        return means, self.posterior.variances(flat).reshape(shape)
