from pathlib import Path

import pytest
from sqlalchemy import select, update

from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.planner.planning import DIMENSIONS, PlanWorld


@pytest.fixture
async def world(sessions: Sessions, database_url: str, tmp_path: Path) -> PlanWorld:
    """The default project with its callers' vectors, a fixed seed and no exploration.

    Its strategy is ``dissimilar``, whose order a test can tell beforehand.
    """
    async with sessions.begin() as session:
        project_id = (await session.scalars(select(Project.id))).one()
        await session.execute(
            update(Project).values(
                strategy="dissimilar",
                seed=7,
                exploration=0,
                embedding_source="caller",
                embedding_dimensions=DIMENSIONS,
            )
        )
    return PlanWorld(sessions, database_url, tmp_path, project_id)
