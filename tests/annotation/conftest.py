"""Plans to claim from, written straight into the tables."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.storage.tables import (
    Assignment,
    LedgerEntry,
    Pair,
    Project,
    ProjectIntake,
    Prompt,
    Response,
)

Sessions = async_sessionmaker[AsyncSession]
PlanMaker = Callable[..., Awaitable[list[int]]]
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class World:
    """A project's database, and what a test wants to know of it."""

    sessions: Sessions

    async def set_project(self, **columns: Any) -> None:
        """Change the default project."""
        async with self.sessions.begin() as session:
            await session.execute(update(Project).values(**columns))

    async def project(self) -> Project:
        """The default project as it is now."""
        async with self.sessions() as session:
            return (await session.scalars(select(Project))).one()

    async def pair(self, pair_id: int) -> Pair:
        """A pair as it is now."""
        async with self.sessions() as session:
            return (await session.scalars(select(Pair).where(Pair.id == pair_id))).one()

    async def lapse_all(self) -> None:
        """Let time pass: every lease is over."""
        async with self.sessions.begin() as session:
            await session.execute(
                update(Assignment).values(expires_at=func.now() - func.make_interval(0, 0, 0, 1))
            )

    async def until_waiting(self, count: int) -> None:
        """Until so many transactions wait for a lock."""
        waiting = (
            select(func.count())
            .select_from(text("pg_stat_activity"))
            .where(text("datname = current_database() AND wait_event_type = 'Lock'"))
        )
        async with asyncio.timeout(_PATIENCE_SECONDS), self.sessions() as session:
            while await session.scalar(waiting) != count:
                await session.rollback()
                await asyncio.sleep(0.01)

    async def entries_sum(self) -> tuple[float, float]:
        """What the ledger's entries say is spent and reserved."""
        async with self.sessions() as session:
            row = await session.execute(
                select(
                    func.coalesce(func.sum(LedgerEntry.spent), 0),
                    func.coalesce(func.sum(LedgerEntry.reserved), 0),
                )
            )
            spent, reserved = row.one()
            return float(spent), float(reserved)

    async def add_pairs(
        self,
        count: int,
        *,
        arm: str = "strategy",
        labels_wanted: int = 1,
        expected_seconds: float = 60,
        start: int = 0,
    ) -> list[int]:
        """Put ``count`` prompts of two responses into the plan; gives the pairs' numbers."""
        async with self.sessions.begin() as session:
            project_id = (await session.scalars(select(Project.id))).one()
            return [
                await _add_pair(
                    session,
                    project_id,
                    position=start + number,
                    arm=arm,
                    labels_wanted=labels_wanted,
                    expected_seconds=expected_seconds,
                )
                for number in range(count)
            ]


async def _add_pair(
    session: AsyncSession,
    project_id: int,
    *,
    position: int,
    arm: str,
    labels_wanted: int,
    expected_seconds: float,
) -> int:
    prompt = Prompt(
        project_id=project_id,
        external_id=f"{arm}-{position}",
        content=f"question {arm} {position}",
        fingerprint=f"{arm}-{position}".encode(),
        status="ready",
        pairs_planned=1,
        pairs_total=1,
        exploration=arm == "exploration",
        near_duplicate=False,
        order_key=0.0,
    )
    session.add(prompt)
    await session.flush()
    prompt.group_id = prompt.id
    responses = [
        Response(prompt_id=prompt.id, position=side, text=f"answer {side} to {arm} {position}")
        for side in (0, 1)
    ]
    session.add_all(responses)
    await session.flush()
    pair = Pair(
        project_id=project_id,
        prompt_id=prompt.id,
        first_response_id=responses[0].id,
        second_response_id=responses[1].id,
        similarity=0.3,
        arm=arm,
        strategy="dissimilar",
        propensity=1.0 if arm == "exploration" else None,
        position=float(position),
        expected_seconds=expected_seconds,
        labels_wanted=labels_wanted,
    )
    session.add(pair)
    await session.flush()
    await session.execute(
        update(ProjectIntake)
        .where(ProjectIntake.project_id == project_id)
        .values(prompts=ProjectIntake.prompts + 1)
    )
    return pair.id


@pytest.fixture
def world(sessions: Sessions) -> World:
    return World(sessions)
