"""From labels with vectors to the preference model."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.preference.answers import Answers
from app.preference.queries import (
    ARMS,
    BATCH_LABELS,
    LabelledVectors,
    sample_prompts,
    stream_labels,
)
from app.selection.arrays import FloatArray
from app.selection.candidates import PromptBlock, blocks_of
from app.selection.model.features import FeatureMap, fit_feature_map
from app.selection.model.posterior import Posterior, fit_posterior
from app.selection.model.preference import PRIOR_PRECISION, PreferenceModel
from app.vectors.stored import prompt_vectors

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

    The same labels, prompts and vectors give the same model. Of the vectors only
    the labelled prompts' are kept.
    """
    feature_map = await find_features(session, project_id, dimensions, side=True)
    if feature_map is None:
        return None
    answers = await read_answers(
        session, project_id, dimensions, feature_map, arms=arms, surplus=surplus
    )
    if answers is None:
        return None
    posterior = await asyncio.to_thread(fit_answers, answers)
    labelled = await prompt_vectors(session, answers.prompts, dimensions)
    return PreferenceModel(feature_map, posterior, len(answers), labelled.vectors)


async def find_features(
    session: AsyncSession, project_id: int, dimensions: int, *, side: bool = False
) -> FeatureMap | None:
    """The features of a project, found in a sample of its prompts; None while none has vectors.

    ``side``: how typical and how long a response is joins them.
    """
    prompts = await sample_prompts(session, project_id, dimensions, most=SAMPLED_PROMPTS, side=side)
    if not prompts:
        return None
    return await asyncio.to_thread(lambda: fit_feature_map(blocks_of(prompts), side=side))


async def read_answers(
    session: AsyncSession,
    project_id: int,
    dimensions: int,
    feature_map: FeatureMap,
    *,
    arms: Collection[str] = ARMS,
    surplus: bool = False,
    handed_out: bool = False,
    earliest: bool = False,
    most: int = MOST_LABELS,
) -> Answers | None:
    """The project's labels over given features, as ``stream_labels`` chooses them; None: none.

    Their vectors are read a part at a time, and none is kept.
    """
    labels = stream_labels(
        session,
        project_id,
        dimensions,
        arms=arms,
        surplus=surplus,
        handed_out=handed_out,
        earliest=earliest,
        side=feature_map.side_scale is not None,
        most=most,
    )
    differences = np.empty((most, feature_map.size))
    columns: list[tuple[NDArray[Any], ...]] = []
    known = 0
    async for part in labels:
        features = await asyncio.to_thread(label_features, feature_map, part)
        differences[known : known + len(part)] = features[:, 0] - features[:, 1]
        columns.append((part.targets, part.weights, part.groups, part.pair_ids, part.prompt_ids))
        known += len(part)
    if not known:
        return None
    return Answers(differences[:known], *map(np.concatenate, zip(*columns, strict=True)))


def fit_answers(answers: Answers, start: FloatArray | None = None) -> Posterior:
    """The posterior under the project's prior; see ``fit_posterior``."""
    return fit_posterior(
        answers.differences,
        answers.targets,
        prior_precision=PRIOR_PRECISION,
        weights=answers.weights,
        start=start,
    )


def label_features(feature_map: FeatureMap, labels: LabelledVectors) -> FloatArray:
    """φ of the two responses of each label: ``(labels, 2, features)``."""
    found: NDArray[np.float64] = np.empty((len(labels), 2, feature_map.size))
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
