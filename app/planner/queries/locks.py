"""Which projects this planner plans: those whose lock it holds.

The locks are PostgreSQL's advisory locks, held by a connection of their own. However the planner
ends, the server frees them, and another planner takes its projects over.
"""

import psycopg
from psycopg.rows import scalar_row

from app.storage.engine import raw_dsn

_TAKE_ONE = """
    SELECT id
    FROM (SELECT id FROM projects WHERE id <> ALL(%s::bigint[]) ORDER BY id OFFSET 0) AS others
    WHERE pg_try_advisory_lock(hashtextextended('planner of project ' || id, 0))
    LIMIT 1
"""
_GIVE_BACK = "SELECT pg_advisory_unlock(hashtextextended('planner of project ' || %s::bigint, 0))"


class ProjectLocks:
    """The projects of this planner, for as long as its connection lives."""

    def __init__(self, url: str) -> None:
        self._dsn = raw_dsn(url)
        self._connection: psycopg.AsyncConnection | None = None
        self.held: set[int] = set()

    async def take_one(self) -> int | None:
        """Take a project that nobody plans, if there is one.

        One at a time, so that planners that start together share the projects.

        Raises:
            psycopg.OperationalError: the connection is lost, and all projects with it.
        """
        try:
            connection = await self._connect()
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(_TAKE_ONE, (list(self.held),))
            taken: int | None = await cursor.fetchone()
        except psycopg.OperationalError:
            await self.close()
            raise
        if taken is not None:
            self.held.add(taken)
        return taken

    async def give_back(self, project_id: int) -> None:
        """Let another planner have the project."""
        self.held.discard(project_id)
        if self._connection is not None:
            await self._connection.execute(_GIVE_BACK, (project_id,))

    async def close(self) -> None:
        """Let other planners have all projects."""
        self.held.clear()
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _connect(self) -> psycopg.AsyncConnection:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, application_name="annotation-budget planner"
            )
        return self._connection
