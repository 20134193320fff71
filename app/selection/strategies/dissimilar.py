"""``dissimilar``: the pair of a prompt's two most different responses.

REAL (arXiv 2409.17169), "easy": ``argmin cos(i, j)`` over the pairs of a prompt, one pair a prompt
a round, prompts in a uniform random order.
"""

from app.selection.cost import by_cosine
from app.selection.pair_grid import pair_similarities
from app.selection.strategy import Strategy, by_pair_keys

order = by_pair_keys(lambda block: pair_similarities(block.embeddings))

STRATEGY = Strategy(
    "dissimilar",
    "the two most different responses of each prompt (REAL)",
    order,
    value=by_cosine,
    rank=10,
)
