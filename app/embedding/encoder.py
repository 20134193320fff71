"""The interface of embedding models: texts in, unit vectors out."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.embedding.unit import normalise


class Encoder(Protocol):
    """A frozen embedding model. Not thread-safe: tokenizers keep state while they work."""

    @property
    def name(self) -> str:
        """The model and its revision or digest; vectors of two names never mix."""

    @property
    def dimensions(self) -> int:
        """The length of every vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(texts, dimensions)`` in the order of ``texts``.

        The vector of a text does not depend on the other texts, except for rounding errors.
        """


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors of a model's output ``(texts, dimensions)``; a zero row gets the first axis.

    A model gives zero, or cannot run at all, if a text has no token that it knows (for example,
    only control characters). All such texts get the same direction, so they are equal.

    Raises:
        InvalidVector: a row is not finite: the model failed.
    """
    vectors = vectors.astype(np.float32)
    vectors[~vectors.any(axis=1), 0] = 1.0
    return normalise(vectors)
