"""``dissimilar-global``: the most different pairs of the whole collection.

REAL (arXiv 2409.17169), "easy" as in its HH-RLHF runs with two responses a prompt: all pairs of
the collection by rising ``cos(i, j)``. The keys are those of ``dissimilar``, but they
order the whole collection.
"""

from app.selection.cost import by_cosine
from app.selection.strategies.dissimilar import order
from app.selection.strategy import Strategy

STRATEGY = Strategy(
    "dissimilar-global",
    "the most different pairs of the whole collection (REAL on pairs)",
    order,
    collection_wide=True,
    value=by_cosine,
    rank=40,
)
