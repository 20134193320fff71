"""``dissimilar-global``: the most different pairs of the whole collection.

REAL (arXiv 2409.17169), "easy" as in its HH-RLHF runs with two responses a prompt: all pairs of
the collection by rising ``cos(i, j)``. The keys are those of ``dissimilar``; the registry says that
they order the whole collection.
"""

from app.selection.strategies.dissimilar import order

__all__ = ["order"]
