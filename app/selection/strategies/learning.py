"""Shared by the strategies that need a model.

Until there are ``FIRST_LABELS`` labels, such a strategy behaves like ``dissimilar``: a model of
fewer labels is not worth following.
"""

from collections.abc import Callable, Sequence
from functools import wraps

import numpy as np

from app.selection.arrays import Float64Array, FloatArray
from app.selection.candidates import PromptBlock
from app.selection.model.preference import PreferenceModel
from app.selection.prompt_keys import best_first
from app.selection.strategies import dissimilar
from app.selection.strategy import OrderPairs, PairOrder

FIRST_LABELS = 50

OrderWithModel = Callable[
    [list[PromptBlock], PreferenceModel, np.random.Generator], list[PairOrder]
]


def after_first_labels(order: OrderWithModel) -> OrderPairs:
    """The order of a strategy that needs a model; ``dissimilar`` until there are enough labels."""

    @wraps(order)
    def learning(
        blocks: list[PromptBlock], model: PreferenceModel | None, rng: np.random.Generator
    ) -> list[PairOrder]:
        if not blocks or model is None or model.labels < FIRST_LABELS:
            return dissimilar.order(blocks, None, rng)
        return order(blocks, model, rng)

    return learning


def open_scores(blocks: Sequence[PromptBlock], scores: Sequence[FloatArray]) -> list[Float64Array]:
    """The scores, ``(prompts, pairs)``, one array a block, with -inf for pairs that are taken."""
    return [
        np.where(block.taken, -np.inf, score) for block, score in zip(blocks, scores, strict=True)
    ]


def by_score(blocks: Sequence[PromptBlock], scores: Sequence[FloatArray]) -> list[PairOrder]:
    """High scores first, within a prompt and across prompts (each by its best open pair)."""
    best = [score.max(axis=1) for score in open_scores(blocks, scores)]
    prompt_keys = best_first(blocks, np.concatenate(best))
    return [PairOrder(-score, keys) for score, keys in zip(scores, prompt_keys, strict=True)]
