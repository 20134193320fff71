"""The stored vectors of some texts, by the texts' numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.selection.arrays import BoolArray, FloatArray, IntArray

# One row of all of them is read several times faster than a row each.
_OF_RESPONSES: Final = text("""
    SELECT array_agg(response_id ORDER BY response_id), string_agg(vector, '' ORDER BY response_id)
    FROM response_embeddings WHERE response_id = ANY(CAST(:ids AS bigint[]))
""")
_OF_PROMPTS: Final = text("""
    SELECT array_agg(prompt_id ORDER BY prompt_id), string_agg(vector, '' ORDER BY prompt_id)
    FROM prompt_embeddings WHERE prompt_id = ANY(CAST(:ids AS bigint[]))
""")


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Unit vectors by the number of their text."""

    ids: IntArray
    """Rising, ``(n,)``."""
    vectors: FloatArray
    """``(n, dimensions)``."""

    def has(self, ids: IntArray) -> BoolArray:
        """Which have a vector, in the shape of ``ids``."""
        return np.isin(ids, self.ids)

    def of(self, ids: IntArray) -> FloatArray:
        """Their vectors, ``(*ids.shape, dimensions)``; all of them have one."""
        return self.vectors[np.searchsorted(self.ids, ids)]

    def by_id(self) -> Mapping[int, FloatArray]:
        """The same, one by one."""
        return dict(zip(self.ids.tolist(), self.vectors, strict=True))


async def response_vectors(
    session: AsyncSession, ids: NDArray[Any], dimensions: int
) -> StoredVectors:
    """Those of these responses that have one; repeated numbers count once. By primary key.

    Raises:
        InvalidVector: they have other dimensions.
    """
    return await _read(session, _OF_RESPONSES, ids, dimensions)


async def prompt_vectors(
    session: AsyncSession, ids: NDArray[Any], dimensions: int
) -> StoredVectors:
    """As ``response_vectors``, of prompts."""
    return await _read(session, _OF_PROMPTS, ids, dimensions)


async def _read(
    session: AsyncSession, query: TextClause, ids: NDArray[Any], dimensions: int
) -> StoredVectors:
    known, joined = (await session.execute(query, {"ids": np.unique(ids).tolist()})).one()
    if known is None:
        return StoredVectors(np.empty(0, dtype=np.int64), from_bytes([], dimensions))
    size = len(joined) // len(known)
    rows = [joined[start : start + size] for start in range(0, len(joined), size)]
    return StoredVectors(np.array(known, dtype=np.int64), from_bytes(rows, dimensions))
