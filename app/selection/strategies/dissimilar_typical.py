"""``dissimilar-typical``: the two most different of a prompt's typical responses.

A guard against outliers, which REAL's rule (arXiv 2409.17169) chooses if a prompt has dozens of
responses. With ``m_i`` the mean similarity of response ``i`` to the prompt's others, the
responses whose ``m_i`` is at or above the prompt's median are typical; ``argmin
cos(i, j)`` over the pairs of typical ones comes first, then pairs with one that is not, then with
two.
"""

import numpy as np
from numpy.typing import NDArray

from app.selection.arrays import FloatArray
from app.selection.candidates import PromptBlock
from app.selection.pair_grid import gram_matrices, mean_similarities, pair_columns
from app.selection.strategy import Strategy, by_pair_keys

_TIE = 1e-6
_WIDER = np.float32(2.5)
"""More than two cosines can differ."""


def _keys(block: PromptBlock) -> FloatArray:
    """Cosines, increased for each response that is not typical: ``(prompts, pairs)``."""
    gram = gram_matrices(block.embeddings)
    first, second = pair_columns(block.responses)
    shift = _WIDER * _outlier_counts(gram).astype(np.float32)
    keys: FloatArray = np.add(gram[:, first, second], shift, dtype=gram.dtype)
    return keys


def _outlier_counts(gram: FloatArray) -> NDArray[np.int8]:
    """How many of each pair's responses are not typical: ``(prompts, pairs)``."""
    similarity = mean_similarities(gram)
    least = np.median(similarity, axis=1, keepdims=True)
    outliers = (similarity < least - _TIE).astype(np.int8)
    first, second = pair_columns(gram.shape[1])
    return np.asarray(outliers[:, first] + outliers[:, second], dtype=np.int8)


STRATEGY = Strategy(
    "dissimilar-typical",
    "the two most different of the typical half of each prompt's responses",
    by_pair_keys(_keys),
    rank=20,
)
