"""Bring an index up to what Postgres holds, in parts, from where it stood.

Additions first, then erasures. Adding twice and removing twice change nothing, so an index and a
mark from any earlier moment lead to the same index.
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
from app.vectors.mark import START, Mark, Position
from app.vectors.queries import cluster
from app.vectors.snapshot import Snapshot

ROWS_AT_A_TIME: Final = 1024

__all__ = [
    "START",
    "Additions",
    "Mark",
    "Position",
    "Snapshot",
    "VectorIndex",
    "apply_erasures",
    "cluster",
    "read_additions",
    "restore",
]


@dataclass(frozen=True, slots=True)
class Additions:
    """Prompts whose embeddings come next, in the order in which they were committed."""

    ids: Ids
    """``(n,)``."""
    vectors: Vectors
    """Unit vectors, ``(n, dimensions)``."""
    position: Position
    """Where to read on."""
    complete: bool
    """There was no more to read."""


async def read_additions(
    session: AsyncSession,
    project_id: int,
    position: Position,
    dimensions: int,
    limit: int = ROWS_AT_A_TIME,
) -> Additions:
    """The next embeddings of the project's prompts, at most ``limit`` of them.

    Raises:
        InvalidVector: a stored vector has other dimensions.
    """
    rows = await queries.embeddings_after(session, project_id, position, limit)
    return Additions(
        ids=np.array([row.prompt_id for row in rows], dtype=np.int64),
        vectors=from_bytes([row.vector for row in rows], dimensions),
        position=Position(rows[-1].written_by, rows[-1].prompt_id) if rows else position,
        complete=len(rows) < limit,
    )


async def apply_erasures(
    session: AsyncSession, project_id: int, index: VectorIndex, position: Position
) -> Position:
    """Take erased prompts out of the index; gives the position of the last one."""
    while rows := await queries.erased_after(session, project_id, position, ROWS_AT_A_TIME):
        index.remove(np.array([row.prompt_id for row in rows], dtype=np.int64))
        position = Position(rows[-1].written_by, rows[-1].prompt_id)
    return position


async def restore(
    session: AsyncSession, project_id: int, path: Path, *, owner: str, dimensions: int
) -> Snapshot:
    """The index of the file, less what was erased since; an empty one where it is of no use.

    A file that holds anything but what the database held up to its mark (an older database put
    back, say) is of no use. The mark is the file's: what was erased since will be read once more.
    """
    found = await asyncio.to_thread(snapshot.load, path, owner=owner, dimensions=dimensions)
    if found is not None:
        await apply_erasures(session, project_id, found.index, found.mark.erased)
        ids = found.index.ids()
        held = queries.Contents(len(ids), int(ids.sum()))
        if held == await queries.contents_up_to(session, project_id, found.mark):
            return found
    return Snapshot(VectorIndex(dimensions), START)
