"""Turn a project's prompts and labels into features for the preference model."""

import asyncio
from collections.abc import Collection
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
from app.selection.candidates import PromptBlock, blocks_of
from app.selection.model.features import FeatureMap, fit_feature_map
from app.storage.arm import Arm

MAX_LABELS: Final = 20_000
"""The most labels that are read, enough for a model of 128 weights."""
SAMPLED_PROMPTS: Final = 1_000
"""The size of the sample of prompts in which the directions of the features are found."""


async def find_features(
    session: AsyncSession, project_id: int, dimensions: int, *, with_side_features: bool = False
) -> FeatureMap | None:
    """The features of a project, found in a sample of its prompts; None while none has vectors.

    ``with_side_features``: with the two features beside the vectors, typicality and length.
    """
    prompts = await sample_prompts(
        session, project_id, dimensions, limit=SAMPLED_PROMPTS, with_words=with_side_features
    )
    if not prompts:
        return None
    return await asyncio.to_thread(
        fit_feature_map, blocks_of(prompts), with_side_features=with_side_features
    )


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
        with_side_features=feature_map.side_scale is not None,
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
    )
