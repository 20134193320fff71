"""Fitted models for the tests of this room."""

import numpy as np
from numpy.typing import NDArray

from app.selection.candidates import PromptBlock
from app.selection.model.features import fit_feature_map, prompt_vectors
from app.selection.model.posterior import fit_posterior, sigmoid
from app.selection.model.preference import PreferenceModel


def fitted_model(
    blocks: list[PromptBlock], labels: int = 60, most_features: int = 10, seed: int = 0
) -> PreferenceModel:
    """A model of random labels on random pairs of features."""
    rng = np.random.default_rng(seed)
    feature_map = fit_feature_map(blocks, most_features)
    size = feature_map.basis.shape[1]
    z: NDArray[np.float64] = rng.standard_normal((labels, size))
    t = (rng.random(labels) < sigmoid(z @ rng.standard_normal(size))).astype(np.float64)
    posterior = fit_posterior(z, t, prior_precision=1.0)
    return PreferenceModel(feature_map, posterior, labels, prompt_vectors(blocks[0])[:1])
