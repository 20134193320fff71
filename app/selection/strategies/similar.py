"""``similar``: the pair of a prompt's two most alike responses.

REAL (arXiv 2409.17169), "hard": ``argmax cos(i, j)`` over the pairs of a prompt, one pair a prompt
a round, prompts in a uniform random order.
"""

from app.selection.cost import by_cosine
from app.selection.pair_grid import pair_similarities
from app.selection.strategy import Strategy, by_pair_keys

STRATEGY = Strategy(
    "similar",
    "the two most alike responses of each prompt",
    by_pair_keys(lambda block: -pair_similarities(block.embeddings)),
    value=by_cosine,
    rank=50,
)
