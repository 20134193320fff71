"""The SQL of the prompt map: the vectors that prompts are grouped by, and what is known of each."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Result, Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.prompts.question import QUESTION_VERSION
from app.storage.sql import statement
from app.storage.tables import Project

# The prompts are read by ix_prompts_listing, all else by index for each prompt.
_POINTS: Final = """
    SELECT prompts.id, embedded.vector, coalesce(exploration, false) AS exploration,
        left(
            CASE jsonb_typeof(content)
                WHEN 'string' THEN content #>> '{{}}' ELSE content -> -1 ->> 'content'
            END, :characters
        ) AS asked,
        given.labels, coalesce(given.disputed, false) AS disputed, paired.similarity
    FROM prompts
    JOIN {embeddings} AS embedded ON embedded.prompt_id = prompts.id {of_version}
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE labels.status = 'counted') AS labels,
            bool_or(disputed) AS disputed
        FROM labels WHERE labels.prompt_id = prompts.id
    ) AS given
    CROSS JOIN LATERAL (
        SELECT avg(similarity) AS similarity FROM pairs WHERE pairs.prompt_id = prompts.id
    ) AS paired
    WHERE prompts.project_id = :project_id AND prompts.id % :every = 0
    ORDER BY prompts.id
"""
_OWN = statement(_POINTS, embeddings="prompt_embeddings", of_version="")
_QUESTIONS = statement(
    _POINTS, embeddings="question_embeddings", of_version="AND embedded.version = :version"
)


async def read_points(
    session: AsyncSession, project: Project, *, every: int, characters: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    """One of ``every`` so many prompts that have a vector, in the order of their numbers.

    ``asked`` has the first ``characters`` of what a prompt asks.
    """
    parameters = {"project_id": project.id, "every": every, "characters": characters}
    is_own = project.embedding_source == "caller"
    if not is_own:
        parameters["version"] = QUESTION_VERSION
    found: Result[Any] = await session.execute(_OWN if is_own else _QUESTIONS, parameters)
    return found.all()
