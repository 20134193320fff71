"""``similar``: the pair of a prompt's two most alike responses.

REAL (arXiv 2409.17169), "hard": ``argmax cos(i, j)`` over the pairs of a prompt, one pair a prompt
a round, prompts in a uniform random order.
"""

import numpy as np

from app.selection.candidates import PromptBlock
from app.selection.cost import by_cosine
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import pair_similarities
from app.selection.strategy import PairOrder, Strategy


def order(
    blocks: list[PromptBlock],
    _model: PreferenceModel | None,
    _rng: np.random.Generator,
) -> list[PairOrder]:
    """Highest cosine first."""
    return [PairOrder(-pair_similarities(block.embeddings), block.order_keys) for block in blocks]


STRATEGY = Strategy(
    "similar",
    "the two most alike responses of each prompt",
    order,
    value=by_cosine,
    rank=50,
)
