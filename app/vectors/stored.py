"""The stored vectors of texts, by the ids of the texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.style import STYLE_FEATURES, STYLE_VERSION, styles_from_bytes
from app.embedding.unit import from_bytes
from app.selection.arrays import BoolArray, FloatArray, IntArray
from app.vectors.queries import (
    STYLES_OF_RESPONSES,
    VECTORS_OF_PROMPTS,
    VECTORS_OF_RESPONSES,
    read_vectors,
)

_NUMBERS_PER_READ = 2**22
"""Vectors are read as one row, which PostgreSQL and the client hold in memory several times."""


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Unit vectors by the ids of their texts."""

    ids: IntArray
    """Rising, ``(n,)``."""
    vectors: FloatArray
    """``(n, dimensions)``."""

    def has(self, ids: IntArray) -> BoolArray:
        """Which of the ids have a vector, in the shape of ``ids``."""
        return np.isin(ids, self.ids)

    def of(self, ids: IntArray) -> FloatArray:
        """The vectors of ids that all have one: ``(*ids.shape, dimensions)``."""
        return self.vectors[np.searchsorted(self.ids, ids)]

    def by_id(self) -> Mapping[int, FloatArray]:
        """Each vector, ``(dimensions,)``, under its id."""
        return dict(zip(self.ids.tolist(), self.vectors, strict=True))


async def response_vectors(
    session: AsyncSession, ids: NDArray[Any], dimensions: int
) -> StoredVectors:
    """The vectors of those of the responses that have one; repeated ids count once."""
    return await _read(session, VECTORS_OF_RESPONSES, ids, dimensions)


async def prompt_vectors(
    session: AsyncSession, ids: NDArray[Any], dimensions: int
) -> StoredVectors:
    """As ``response_vectors``, of prompts."""
    return await _read(session, VECTORS_OF_PROMPTS, ids, dimensions)


async def response_styles(session: AsyncSession, ids: IntArray) -> FloatArray:
    """The styles of responses, ``(*ids.shape, features)``; NaN where none is stored yet."""
    wanted = np.unique(ids)
    styles = np.full((len(wanted), len(STYLE_FEATURES)), np.nan, dtype=np.float32)
    size = _NUMBERS_PER_READ // len(STYLE_FEATURES)
    for start in range(0, len(wanted), size):
        part = wanted[start : start + size].tolist()
        found, rows = await read_vectors(session, STYLES_OF_RESPONSES, part, version=STYLE_VERSION)
        if found:
            styles[np.searchsorted(wanted, found)] = styles_from_bytes(rows)
    return styles[np.searchsorted(wanted, ids)]


async def _read(
    session: AsyncSession, query: TextClause, ids: NDArray[Any], dimensions: int
) -> StoredVectors:
    wanted = np.unique(ids).tolist()
    size = max(1, _NUMBERS_PER_READ // dimensions)
    known: list[int] = []
    parts = [from_bytes([], dimensions)]
    for start in range(0, len(wanted), size):
        found, vectors = await read_vectors(session, query, wanted[start : start + size])
        known += found
        parts.append(from_bytes(vectors, dimensions))
    return StoredVectors(np.array(known, dtype=np.int64), np.concatenate(parts))
