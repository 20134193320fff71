"""Catch up: bring an index from a mark to what PostgreSQL holds.

Additions come first, then erasures. To add or remove a prompt twice changes nothing, so an index
with its mark leads to the same index from any earlier moment.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import from_bytes
from app.vectors import queries, snapshot
from app.vectors.index import Ids, VectorIndex, Vectors
from app.vectors.marks import START, Position, VectorSource
from app.vectors.queries import cluster
from app.vectors.snapshot import Snapshot

ROWS_AT_A_TIME: Final = 1024

__all__ = ["Additions", "apply_erasures", "cluster", "read_additions", "restore"]


@dataclass(frozen=True, slots=True)
class Additions:
    """The next vectors of prompts, in the order of the transactions that wrote them."""

    ids: Ids
    """``(n,)``."""
    vectors: Vectors
    """Unit vectors, ``(n, dimensions)``."""
    position: Position
    """Where to read on."""
    complete: bool
    """There is no more to read for now."""


async def read_additions(
    session: AsyncSession,
    source: VectorSource,
    position: Position,
    dimensions: int,
    limit: int = ROWS_AT_A_TIME,
) -> Additions:
    """The next vectors that the project's prompts are grouped by, at most ``limit`` of them."""
    rows = await queries.embeddings_after(session, source, position, limit)
    return Additions(
        ids=np.array([row.prompt_id for row in rows], dtype=np.int64),
        vectors=from_bytes([row.vector for row in rows], dimensions),
        position=Position(rows[-1].written_by, rows[-1].prompt_id) if rows else position,
        complete=len(rows) < limit,
    )


async def apply_erasures(
    session: AsyncSession, project_id: int, index: VectorIndex, position: Position
) -> Position:
    """Remove erased prompts from the index; gives the position of the last one."""
    while rows := await queries.erased_after(session, project_id, position, ROWS_AT_A_TIME):
        index.remove(np.array([row.prompt_id for row in rows], dtype=np.int64))
        position = Position(rows[-1].written_by, rows[-1].prompt_id)
    return position


async def restore(
    session: AsyncSession, source: VectorSource, path: Path, *, owner: str, dimensions: int
) -> Snapshot:
    """The index in the file without prompts that were erased since; an empty one if it is useless.

    A file is useless if it does not hold just what the database holds up to the file's mark: an
    older database was restored, say. The mark stays the file's.
    """
    found = await asyncio.to_thread(snapshot.load, path, owner=owner, dimensions=dimensions)
    if found is not None:
        await apply_erasures(session, source.project_id, found.index, found.mark.erased)
        ids = found.index.ids()
        held = len(ids), int(ids.sum())
        if held == await queries.contents_up_to(session, source, found.mark):
            return found
    return Snapshot(VectorIndex(dimensions), START)
