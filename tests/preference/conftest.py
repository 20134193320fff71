"""Planted projects on a fresh database."""

import pytest
from sqlalchemy import select

from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.preference.planted import PlantedProject


@pytest.fixture
async def planted(sessions: Sessions) -> PlantedProject:
    """The default project, planted."""
    async with sessions() as session:
        project_id = (await session.scalars(select(Project.id))).one()
    return PlantedProject(sessions, project_id)
