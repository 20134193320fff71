"""From labels with vectors to the preference model."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.preference import queries
from app.preference.queries import ARMS, BATCH_LABELS, LabelledVectors
from app.selection.arrays import FloatArray
from app.selection.candidates import PromptBlock, PromptCandidate, blocks_of
from app.selection.model.features import FeatureMap, fit_feature_map
from app.selection.model.posterior import Posterior, fit_posterior
from app.selection.model.preference import PRIOR_PRECISION, PreferenceModel

MOST_LABELS: Final = 20_000
"""A fair sample of so many labels is read where there are more: the head has 128 weights."""
SAMPLED_PROMPTS: Final = 1_000
"""The directions of the features are found in so many of the project's prompts."""


async def fit_project(
    session: AsyncSession,
    project_id: int,
    dimensions: int,
    *,
    arms: Collection[str] = ARMS,
    surplus: bool = False,
) -> PreferenceModel | None:
    """The model that the project's labels of these arms teach; None while there are none.

    The same labels, prompts and vectors give the same model. The labels' vectors are read a part
    at a time, and only the prompts' are kept.
    """
    feature_map = await find_features(session, project_id, dimensions, side=True)
    if feature_map is None:
        return None
    parts: list[LabelledVectors] = []
    features: list[FloatArray] = []
    async for part in queries.stream_labels(
        session, project_id, dimensions, arms=arms, surplus=surplus, side=True, most=MOST_LABELS
    ):
        features.append(await asyncio.to_thread(label_features, feature_map, part))
        parts.append(replace(part, responses=part.responses[:, :, :0]))
    if not sum(len(part) for part in parts):
        return None
    joined: FloatArray = np.concatenate(features, dtype=np.float64)
    return await asyncio.to_thread(_fit, feature_map, joined, queries.join_labels(parts))


async def find_features(
    session: AsyncSession, project_id: int, dimensions: int, *, side: bool = False
) -> FeatureMap | None:
    """The features of a project, found in a sample of its prompts; None while none has vectors.

    ``side``: how typical and how long a response is joins them.
    """
    prompts = await queries.sample_prompts(
        session, project_id, dimensions, most=SAMPLED_PROMPTS, side=side
    )
    if not prompts:
        return None
    return await asyncio.to_thread(lambda: fit_feature_map(blocks_of(prompts), side=side))


def fit_model(labels: LabelledVectors, prompts: Sequence[PromptCandidate]) -> PreferenceModel:
    """The model that labels teach, its features (the side ones, if labels have them) found in
    some prompts.
    """
    side = labels.words is not None
    return fit_head(fit_feature_map(blocks_of(prompts), side=side), labels)


def fit_head(feature_map: FeatureMap, labels: LabelledVectors) -> PreferenceModel:
    """The posterior that labels teach over given features."""
    return _fit(feature_map, label_features(feature_map, labels), labels)


def _fit(feature_map: FeatureMap, features: FloatArray, labels: LabelledVectors) -> PreferenceModel:
    posterior = fit_answers(features[:, 0] - features[:, 1], labels.targets, labels.weights)
    _, one_each = np.unique(labels.prompt_ids, return_index=True)
    return PreferenceModel(feature_map, posterior, len(labels), labels.prompts[one_each])


def fit_answers(
    differences: FloatArray,
    targets: FloatArray,
    weights: FloatArray,
    start: FloatArray | None = None,
) -> Posterior:
    """The posterior under the project's prior; see ``fit_posterior``."""
    return fit_posterior(
        differences, targets, prior_precision=PRIOR_PRECISION, weights=weights, start=start
    )


def label_features(feature_map: FeatureMap, labels: LabelledVectors) -> FloatArray:
    """φ of the two responses of each label: ``(labels, 2, features)``."""
    side = 0 if feature_map.side_scale is None else len(feature_map.side_scale)
    found: NDArray[np.float64] = np.empty((len(labels), 2, feature_map.basis.shape[1] + side))
    for start in range(0, len(labels), BATCH_LABELS):
        part = slice(start, start + BATCH_LABELS)
        found[part] = feature_map.features(_block(labels, part))
    return found


def _block(labels: LabelledVectors, part: slice) -> PromptBlock:
    prompt_ids = labels.prompt_ids[part]
    count = len(prompt_ids)
    return PromptBlock(
        prompt_ids=prompt_ids,
        response_ids=labels.response_ids[part],
        embeddings=labels.responses[part],
        taken=np.ones((count, 1), dtype=np.bool_),
        rounds=np.zeros(count, dtype=np.int64),
        near_duplicate=np.zeros(count, dtype=np.bool_),
        order_keys=np.zeros(count),
        prompt_embeddings=labels.prompts[part],
        words=None if labels.words is None else labels.words[part],
        typicality=None if labels.typicality is None else labels.typicality[part],
    )
