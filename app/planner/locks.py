"""Which projects this planner plans: those whose lock it holds.

The locks are Postgres' own advisory locks, held by one connection of the planner's. When the
planner ends, in whatever way, the server frees them, and another planner takes its projects over.
"""

import psycopg

from app.storage.engine import raw_dsn

_TAKE_ONE = """
    SELECT id
    FROM (SELECT id FROM projects WHERE id <> ALL(%s::bigint[]) ORDER BY id OFFSET 0) AS others
    WHERE pg_try_advisory_lock(hashtextextended('planner of project ' || id, 0))
    LIMIT 1
"""
_GIVE_BACK = "SELECT pg_advisory_unlock(hashtextextended('planner of project ' || %s::bigint, 0))"


class ProjectLocks:
    """The projects that are this planner's, as long as its connection lives."""

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
            cursor = await connection.execute(_TAKE_ONE, (list(self.held),))
            row = await cursor.fetchone()
        except psycopg.OperationalError:
            await self.close()
            raise
        if row is None:
            return None
        self.held.add(row[0])
        return int(row[0])

    async def give_back(self, project_id: int) -> None:
        """Let somebody else have the project."""
        self.held.discard(project_id)
        if self._connection is not None:
            await self._connection.execute(_GIVE_BACK, (project_id,))

    async def close(self) -> None:
        """Let somebody else have all of them."""
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
