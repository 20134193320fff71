"""Shared by the strategies that need a model.

Until there are ``FIRST_LABELS`` labels, such a strategy behaves like ``dissimilar``: a model of
fewer labels is not worth following.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps

import numpy as np

from app.selection.arrays import FloatArray, IntArray
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


@dataclass(frozen=True, slots=True)
class OpenBest:
    """The best open pair of every prompt, over all blocks concatenated."""

    scores: FloatArray
    """``(prompts,)``; -inf if a prompt has no open pair."""
    columns: IntArray
    """``(prompts,)``, as in ``pair_grid``."""


def best_open(blocks: Sequence[PromptBlock], scores: Sequence[FloatArray]) -> OpenBest:
    """The best open pair of each prompt by scores ``(prompts, pairs)``, one array a block."""
    masked = [
        np.where(block.taken, -np.inf, score) for block, score in zip(blocks, scores, strict=True)
    ]
    return OpenBest(
        np.concatenate([score.max(axis=1) for score in masked]),
        np.concatenate([score.argmax(axis=1) for score in masked]),
    )


def by_score(blocks: Sequence[PromptBlock], scores: Sequence[FloatArray]) -> list[PairOrder]:
    """High scores first, within a prompt and across prompts (each by its best open pair)."""
    prompt_keys = best_first(blocks, best_open(blocks, scores).scores)
    return [PairOrder(-score, keys) for score, keys in zip(scores, prompt_keys, strict=True)]
