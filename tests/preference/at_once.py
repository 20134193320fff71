"""All labels at once, which the project reads a part at a time."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.preference.features import label_features
from app.preference.queries import LabelledVectors, stream_labels
from app.selection.candidates import PromptCandidate, blocks_of
from app.selection.model.features import FeatureSet, fit_feature_map
from app.selection.model.preference import PreferenceModel, fit_preferences


async def read_labels(
    session: AsyncSession, project_id: int, dimensions: int, **which: Any
) -> LabelledVectors:
    """``stream_labels`` with one label at least, joined."""
    labels = stream_labels(session, project_id, dimensions, **which)
    return join_labels([part async for part in labels])


def join_labels(parts: Sequence[LabelledVectors]) -> LabelledVectors:
    """The labels of all parts, of which there is one at least, in their order."""
    return LabelledVectors(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(LabelledVectors)
            if getattr(parts[0], field.name) is not None
        }
    )


def fit_model(labels: LabelledVectors, prompts: Sequence[PromptCandidate]) -> PreferenceModel:
    """The model that labels teach, its features (those beside the vectors, if labels have them)
    found in some prompts.
    """
    feature_set = FeatureSet.VECTORS
    if labels.style is not None:
        feature_set = FeatureSet.STYLE
    elif labels.words is not None:
        feature_set = FeatureSet.SIDES
    feature_map = fit_feature_map(blocks_of(prompts), feature_set=feature_set)
    features = label_features(feature_map, labels)
    posterior = fit_preferences(
        feature_set,
        features[:, 0] - features[:, 1],
        labels.targets,
        labels.groups,
        weights=labels.weights,
    )
    _, one_each = np.unique(labels.prompt_ids, return_index=True)
    return PreferenceModel(feature_map, posterior, len(labels), labels.prompts[one_each])
