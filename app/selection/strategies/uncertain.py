"""``uncertain``: the pairs whose labels give the most information on the model's weights.

The score of a pair is ``p(1 − p)·zᵀH⁻¹z`` with ``H = λI + Σ p(1 − p) z zᵀ`` over the labelled
pairs: to first order twice the expected gain in information of logistic regression (MacKay 1992,
"Information-based objective functions for active data selection"; D-optimal design). Within a batch
it is greedy: a chosen pair joins ``H`` by a rank-one update (Sherman–Morrison), so that the next is
different.

Shortlist: the ``BATCH`` pairs that come next are chosen greedily among the best open pairs of the
``SHORTLIST`` prompts with the highest scores; all others follow by their score without updates.
"""

from collections.abc import Sequence

import numpy as np

from app.selection.arrays import FloatArray, IntArray
from app.selection.candidates import PromptBlock
from app.selection.cost import by_score
from app.selection.model.posterior import preference_probability
from app.selection.model.preference import PreferenceModel
from app.selection.prompt_keys import as_prompt_keys
from app.selection.strategies.learning import after_first_labels, open_scores
from app.selection.strategy import PairOrder, Strategy

BATCH = 64
SHORTLIST = 512


def _order(
    blocks: list[PromptBlock], model: PreferenceModel, _rng: np.random.Generator
) -> list[PairOrder]:
    differences = [model.pair_differences(block) for block in blocks]
    scores, weights = [], []
    for z in differences:
        mean, variance = model.gaps(z)
        p = preference_probability(mean, np.zeros_like(mean))
        weights.append(p * (1 - p))
        scores.append(p * (1 - p) * variance)
    is_open = open_scores(blocks, scores)
    best = np.concatenate([score.max(axis=1) for score in is_open])
    columns = [score.argmax(axis=1) for score in is_open]
    ids = np.concatenate([block.prompt_ids for block in blocks])
    sequence = np.lexsort((ids, -best))
    shortlist = sequence[:SHORTLIST]
    shortlist = shortlist[np.isfinite(best[shortlist])]
    vectors = _of_columns(differences, columns)[shortlist]
    chances = _of_columns(weights, columns)[shortlist]
    first = shortlist[greedy(model.posterior.covariance, vectors, chances, BATCH)]
    sequence = np.concatenate([first, sequence[~np.isin(sequence, first)]])
    keys = as_prompt_keys(blocks, sequence)
    return [PairOrder(-score, prompt_keys) for score, prompt_keys in zip(scores, keys, strict=True)]


def greedy(
    covariance: FloatArray, vectors: FloatArray, weights: FloatArray, count: int
) -> IntArray:
    """Indices of up to ``count`` rows, each the best given those before it.

    Args:
        covariance: H⁻¹, ``(features, features)``.
        vectors: z of the rows, ``(rows, features)``.
        weights: p(1 − p) of the rows, ``(rows,)``.
        count: how many.
    """
    half = vectors @ covariance
    variances = np.einsum("rf,rf->r", half, vectors)
    chosen: list[int] = []
    for _ in range(min(count, len(vectors))):
        scores = weights * variances
        scores[chosen] = -np.inf
        best = int(scores.argmax())
        chosen.append(best)
        half, variances = rank_one_update(half, variances, vectors, best, float(weights[best]))
    return np.array(chosen, dtype=np.int64)


def rank_one_update(
    half: FloatArray, variances: FloatArray, vectors: FloatArray, best: int, weight: float
) -> tuple[FloatArray, FloatArray]:
    """H⁻¹z and zᵀH⁻¹z of all rows once row ``best`` has joined H with its weight.

    Sherman–Morrison: H⁻¹ loses ``w·(H⁻¹b)(H⁻¹b)ᵀ / (1 + w·bᵀH⁻¹b)``.
    """
    pivot = half[best]
    shrink = weight / (1.0 + weight * float(variances[best]))
    along = vectors @ pivot
    return half - shrink * np.outer(along, pivot), variances - shrink * along**2


def _of_columns(values: Sequence[FloatArray], columns: Sequence[IntArray]) -> FloatArray:
    """What each prompt has in its column, over all blocks concatenated."""
    parts = zip(values, columns, strict=True)
    return np.concatenate([value[np.arange(len(column)), column] for value, column in parts])


STRATEGY = Strategy(
    "uncertain",
    "the pairs whose labels would tell most about the model (information gain)",
    after_first_labels(_order),
    learns=True,
    ranks_prompts=True,
    value=by_score,
    rank=90,
)
