"""The planner's process: it takes turns at the projects that are its own.

Each project has one planner at a time, the one that holds its lock; planners share the projects.
A planner writes in small transactions, each of which leaves the plan right.
"""

import asyncio
import contextlib
from pathlib import Path

import orjson
import psycopg
import structlog
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import DBAPIError

from app.planner.decide import UnknownStrategy
from app.planner.index import ProjectIndex, delete_index, index_path, indexed_projects
from app.planner.project import ProjectPlanner
from app.planner.queries.locks import ProjectLocks
from app.planner.queries.outlook import find_existing, read_outlooks
from app.settings import MAX_SIMILAR, Settings
from app.storage.engine import create_engine, session_factory
from app.storage.notifications import Channel, Listener, Subscription, notify
from app.storage.sessions import Sessions

_CONNECTIONS = 4
_FIRST_PAUSE_SECONDS = 0.05
_FIRST_BACKOFF_SECONDS = 0.25
_MAX_BACKOFF_SECONDS = 5.0
_DECIMALS = 6

log = structlog.get_logger()


class SimilarAsked(BaseModel):
    """The payload of ``SIMILAR_ASKED``: who asks, and for the neighbours of which prompt."""

    request: str
    project: int
    prompt: int
    limit: int = Field(ge=1, le=MAX_SIMILAR)


async def run(settings: Settings, url: str) -> None:
    """Plan until cancelled. A lost database is waited for."""
    engine = create_engine(url, pool_size=_CONNECTIONS)
    planner = Planner(session_factory(engine), ProjectLocks(url), settings.data_dir)
    try:
        async with Listener(url) as listener:
            with (
                listener.subscribe(Channel.PROMPTS_READY, Channel.PLAN_LOW) as announced,
                listener.subscribe(Channel.SIMILAR_ASKED) as asked,
            ):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(planner.plan_for_ever(announced, settings.poll_seconds))
                    tasks.create_task(planner.answer_for_ever(asked, settings.poll_seconds))
    finally:
        await planner.close()
        await engine.dispose()


class Planner:
    """The projects of one planner process."""

    def __init__(self, sessions: Sessions, locks: ProjectLocks, data_dir: Path) -> None:
        self._sessions = sessions
        self._locks = locks
        self._data_dir = data_dir
        self._projects: dict[int, ProjectPlanner] = {}

    async def plan_for_ever(self, announced: Subscription, poll_seconds: float) -> None:
        """Take turns; with nothing to do, wait for an announcement or for the next poll."""
        backoff = _FIRST_BACKOFF_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                has_work, moved = await self.take_turns()
            except (DBAPIError, psycopg.Error) as error:
                # A lost connection, a deadlock, or rows that were deleted meanwhile: try again.
                log.warning("planning interrupted", error=str(error).strip())
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, _MAX_BACKOFF_SECONDS)
                continue
            backoff = _FIRST_BACKOFF_SECONDS
            if moved:
                pause = _FIRST_PAUSE_SECONDS
                continue
            # Work without progress waits for other transactions, which mostly end soon.
            if await announced.get(min(pause, poll_seconds) if has_work else poll_seconds):
                pause = _FIRST_PAUSE_SECONDS
                while await announced.get(0):
                    pass  # one turn answers all that has been announced
            else:
                pause = min(2 * pause, poll_seconds)

    async def answer_for_ever(self, asked: Subscription, poll_seconds: float) -> None:
        """Answer requests for similar prompts, for the projects of this planner."""
        while True:
            question = await asked.get(poll_seconds)
            if question is not None:
                try:
                    await self._answer(question.payload)
                except (DBAPIError, ValidationError) as error:
                    log.warning("similar prompts not answered", error=str(error).strip())

    async def close(self) -> None:
        """Save the indexes of the projects that are still this planner's, and give them back."""
        for project_id, project in self._projects.items():
            if project_id in self._locks.held:
                await project.index.save()
        with contextlib.suppress(psycopg.Error):
            await self._locks.close()

    async def take_turns(self) -> tuple[bool, bool]:
        """A turn at each project that has work.

        Returns:
            Whether there was any work, and whether any of it led further.
        """
        await self._share()
        async with self._sessions() as session:
            outlooks = await read_outlooks(session, self._projects)
        for project_id in self._projects.keys() - {outlook.project_id for outlook in outlooks}:
            await self._forget(project_id)
        has_work = moved = False
        for outlook in outlooks:
            project = self._projects[outlook.project_id]
            try:
                if project.has_work(outlook):
                    has_work = True
                    moved |= await project.take_turn()
            except UnknownStrategy as error:
                log.error("project not planned", project=outlook.project_id, reason=str(error))
            await project.index.save_if_due()
        return has_work, moved

    async def _share(self) -> None:
        """Take the projects that nobody plans; drop all if the locks' connection is lost."""
        try:
            taken = await self._locks.take_one()
        except psycopg.OperationalError:
            self._projects.clear()
            raise
        while taken is not None:
            if not self._projects:
                await self._sweep()
            path = index_path(self._data_dir, taken)
            index = ProjectIndex(taken, self._sessions, path)
            self._projects[taken] = ProjectPlanner(self._sessions, index)
            taken = await self._locks.take_one()

    async def _sweep(self) -> None:
        """Delete the files of projects that were deleted while nobody planned them."""
        files = await asyncio.to_thread(indexed_projects, self._data_dir)
        async with self._sessions() as session:
            existing = await find_existing(session, files)
        for project_id in set(files) - existing:
            await asyncio.to_thread(delete_index, self._data_dir, project_id)

    async def _forget(self, project_id: int) -> None:
        """Delete what is left of a deleted project."""
        del self._projects[project_id]
        await asyncio.to_thread(delete_index, self._data_dir, project_id)
        await self._locks.give_back(project_id)

    async def _answer(self, payload: str) -> None:
        question = SimilarAsked.model_validate_json(payload)
        project = self._projects.get(question.project)
        if project is None:
            return
        similar = [
            (prompt_id, round(similarity, _DECIMALS))
            for prompt_id, similarity in await project.index.similar(
                question.prompt, question.limit
            )
        ]
        answer = orjson.dumps({"request": question.request, "similar": similar}).decode()
        async with self._sessions.begin() as session:
            await notify(session, Channel.SIMILAR_ANSWERED, answer)
