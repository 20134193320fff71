"""The prompt map: what a project's prompts are about, and which of it has labels.

It is made when it is asked for: a plane of 20,000 vectors takes less time than keeping one in step
with what is added and erased.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from app.embedding.unit import from_bytes
from app.insights.cache import Cache
from app.insights.queries import prompt_map as queries
from app.insights.schemas import PromptMap
from app.projects import service as projects
from app.selection.plane import principal_plane
from app.storage.ids import IdKind, encode
from app.storage.sessions import Sessions

MAX_POINTS: Final = 20_000
_ASKED_CHARACTERS: Final = 80
_DECIMALS: Final = 4


async def prompt_map(sessions: Sessions, cache: Cache[PromptMap], project_name: str) -> PromptMap:
    """The map of a project, for an admin. Of very many prompts it shows an even part.

    Raises:
        UnknownProject: no project has that name.
    """
    async with sessions() as session:
        row = await projects.get_project(session, project_name)

    async def draw() -> PromptMap:
        every = max(1, -(-row.prompts // MAX_POINTS))
        async with sessions() as session:
            points = await queries.read_points(
                session, row.project, every=every, characters=_ASKED_CHARACTERS
            )
        dimensions = row.project.embedding_dimensions or 0
        return await asyncio.to_thread(_drawn, points, dimensions, row.prompts)

    return await cache.get(row.project.id, row.project.counted_labels, draw)


def _drawn(points: Sequence[Any], dimensions: int, prompts: int) -> PromptMap:
    vectors = np.zeros((0, 1), dtype=np.float32)
    if points:
        vectors = from_bytes([point.vector for point in points], dimensions)
    plane = principal_plane(vectors)
    coordinates = plane.coordinates.round(_DECIMALS)
    return PromptMap(
        ids=[encode(IdKind.PROMPT, point.id) for point in points],
        x=coordinates[:, 0].tolist(),
        y=coordinates[:, 1].tolist(),
        asked=[point.asked or "" for point in points],
        labels=[point.labels for point in points],
        disputed=[point.disputed for point in points],
        exploration=[point.exploration for point in points],
        similarity=[
            None if point.similarity is None else round(point.similarity, _DECIMALS)
            for point in points
        ],
        share=plane.share,
        prompts=prompts,
    )
