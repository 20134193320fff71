"""``dissimilar-typical``: the two most different of a prompt's typical responses.

A guard against outliers, which REAL's rule (arXiv 2409.17169) chooses if a prompt has dozens of
responses. With ``m_i`` the mean similarity of response ``i`` to the prompt's others, the
responses whose ``m_i`` is at or above the prompt's ``1 - share`` quantile are typical; ``argmin
cos(i, j)`` over the pairs of typical ones comes first, then pairs with one that is not, then with
two.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import FloatArray
from app.selection.candidates import PromptBlock
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import gram_matrices, mean_similarities, pair_columns
from app.selection.strategy import OrderPairs, PairOrder, Strategy

TYPICAL_SHARE = 0.5
_TIE = 1e-6
_WIDER = np.float32(2.5)
"""More than two cosines can differ."""


def typical(share: float) -> OrderPairs:
    """The rule that regards this share of a prompt's responses as typical."""
    return partial(_order, share=share)


def _order(
    blocks: list[PromptBlock],
    _model: PreferenceModel | None,
    _rng: np.random.Generator,
    *,
    share: float,
) -> list[PairOrder]:
    return [PairOrder(typical_keys(block, share), block.order_keys) for block in blocks]


def typical_keys(block: PromptBlock, share: float) -> FloatArray:
    """Cosines, increased for each response that is not typical: ``(prompts, pairs)``."""
    gram = gram_matrices(block.embeddings)
    first, second = pair_columns(block.responses)
    shift = _WIDER * outlier_counts(gram, share).astype(np.float32)
    keys: FloatArray = np.add(gram[:, first, second], shift, dtype=gram.dtype)
    return keys


def outlier_counts(gram: FloatArray, share: float) -> NDArray[np.int8]:
    """How many of each pair's responses are not typical: ``(prompts, pairs)``.

    Args:
        gram: cosines of each prompt's responses, ``(prompts, k, k)``.
        share: how many of a prompt's responses are typical.
    """
    responses = gram.shape[1]
    similarity = mean_similarities(gram)
    place, rest = divmod((1 - share) * (responses - 1), 1)
    ordered = np.sort(similarity, axis=1)
    low = ordered[:, int(place)]
    least = low + rest * (ordered[:, min(int(place) + 1, responses - 1)] - low)
    outliers = (similarity < least[:, None] - _TIE).astype(np.int8)
    first, second = pair_columns(responses)
    return np.asarray(outliers[:, first] + outliers[:, second], dtype=np.int8)


order = typical(TYPICAL_SHARE)

STRATEGY = Strategy(
    "dissimilar-typical",
    "the two most different of the typical half of each prompt's responses",
    order,
    rank=20,
)
