"""Turn a project's prompts and labels into features for the preference model."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.preference.answers import Answers, join_answers
from app.preference.queries import (
    BATCH_LABELS,
    LabelledVectors,
    sample_prompts,
    stream_labels,
)
from app.selection.arrays import Float64Array
from app.selection.candidates import PromptBlock, PromptCandidate, blocks_of
from app.selection.model.features import FeatureMap, FeatureSet, fit_feature_map
from app.storage.arm import Arm

MAX_LABELS: Final = 20_000
"""The most labels that are read, enough for a model of 128 weights."""
SAMPLED_PROMPTS: Final = 1_000
"""The size of the sample of prompts in which the directions of the features are found."""
LEAST_WITH_STYLE: Final = 0.95
"""The share of sampled prompts whose style must be known for a model to use style."""


async def find_features(
    session: AsyncSession, project_id: int, dimensions: int, *, beside_vectors: bool = False
) -> FeatureMap | None:
    """The features of a project, found in a sample of its prompts; None while none has vectors.

    ``beside_vectors``: with typicality, length and style. A project whose responses an older
    service has embedded does without style until the embedder has filled it in.
    """
    prompts = await sample_prompts(
        session, project_id, dimensions, limit=SAMPLED_PROMPTS, with_style=beside_vectors
    )
    if not prompts:
        return None
    feature_set = FeatureSet.STYLE if beside_vectors else FeatureSet.VECTORS
    if beside_vectors and _share_with_style(prompts) < LEAST_WITH_STYLE:
        feature_set = FeatureSet.SIDES
        prompts = await sample_prompts(
            session, project_id, dimensions, limit=SAMPLED_PROMPTS, with_words=True
        )
    return await asyncio.to_thread(fit_feature_map, blocks_of(prompts), feature_set=feature_set)


def _share_with_style(prompts: Sequence[PromptCandidate]) -> float:
    """The share of the prompts of which the style of every response is known."""
    known = [prompt.style is not None and not np.isnan(prompt.style).any() for prompt in prompts]
    return float(np.mean(known))


async def read_answers(
    session: AsyncSession,
    project_id: int,
    dimensions: int,
    feature_map: FeatureMap,
    *,
    arms: Collection[str] = tuple(Arm),
    surplus: bool = False,
    handed_out: bool = False,
    earliest: bool = False,
    limit: int = MAX_LABELS,
) -> Answers | None:
    """The project's labels as differences of features; None if there are none.

    Labels are chosen as ``stream_labels`` does. Vectors are read in batches, and not kept.
    """
    labels = stream_labels(
        session,
        project_id,
        dimensions,
        arms=arms,
        surplus=surplus,
        handed_out=handed_out,
        earliest=earliest,
        feature_set=feature_map.feature_set,
        limit=limit,
    )
    batches: list[Answers] = []
    async for batch in labels:
        features = await asyncio.to_thread(label_features, feature_map, batch)
        batches.append(
            Answers(
                differences=features[:, 0] - features[:, 1],
                targets=batch.targets,
                weights=batch.weights,
                groups=batch.groups,
                pairs=batch.pair_ids,
                prompts=batch.prompt_ids,
            )
        )
    return join_answers(batches) if any(map(len, batches)) else None


def label_features(feature_map: FeatureMap, labels: LabelledVectors) -> Float64Array:
    """φ of the two responses of each label: ``(labels, 2, features)``."""
    features: Float64Array = np.empty((len(labels), 2, feature_map.size))
    for start in range(0, len(labels), BATCH_LABELS):
        rows = slice(start, start + BATCH_LABELS)
        features[rows] = feature_map.features(_block(labels, rows))
    return features


def _block(labels: LabelledVectors, rows: slice) -> PromptBlock:
    prompt_ids = labels.prompt_ids[rows]
    count = len(prompt_ids)
    return PromptBlock(
        prompt_ids=prompt_ids,
        response_ids=labels.response_ids[rows],
        embeddings=labels.responses[rows],
        taken=np.ones((count, 1), dtype=np.bool_),
        rounds=np.zeros(count, dtype=np.int64),
        near_duplicate=np.zeros(count, dtype=np.bool_),
        order_keys=np.zeros(count),
        prompt_embeddings=labels.prompts[rows],
        words=None if labels.words is None else labels.words[rows],
        typicality=None if labels.typicality is None else labels.typicality[rows],
        style=None if labels.style is None else labels.style[rows],
    )
