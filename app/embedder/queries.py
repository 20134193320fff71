"""All SQL of the embedder."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from numpy import float32
from numpy.typing import NDArray
from sqlalchemy import ARRAY, BigInteger, all_, cast, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import to_bytes
from app.prompts.text import render_prompt
from app.storage.tables import (
    Project,
    ProjectIntake,
    Prompt,
    PromptEmbedding,
    Response,
    ResponseEmbedding,
)

Vector = NDArray[float32]


@dataclass(frozen=True, slots=True)
class PendingPrompt:
    """A claimed prompt, and those of its texts that have no vector yet."""

    id: int
    project_id: int
    # None where the prompt has its vector, and only responses were added to it.
    text: str | None
    # By the response's number.
    responses: dict[int, str] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        """What is to be embedded: the responses, then the prompt."""
        own = [] if self.text is None else [self.text]
        return [*self.responses.values(), *own]


@dataclass(frozen=True, slots=True)
class OtherModel:
    """A project with pending prompts whose vectors are another model's."""

    id: int
    name: str
    embedding_model: str | None


async def adopt_projects(session: AsyncSession, model: str, dimensions: int) -> None:
    """Projects that wait for their first vector from the service get this model, for good."""
    await session.execute(
        update(Project)
        .where(
            Project.embedding_source == "service",
            Project.embedding_model.is_(None),
            or_(
                Project.embedding_dimensions.is_(None),
                Project.embedding_dimensions == dimensions,
            ),
        )
        .values(embedding_model=model, embedding_dimensions=dimensions)
    )


async def find_other_models(session: AsyncSession, model: str) -> list[OtherModel]:
    """The projects whose pending prompts this model must leave alone."""
    rows = await session.execute(
        select(Project.id, Project.name, Project.embedding_model)
        .join(ProjectIntake, ProjectIntake.project_id == Project.id)
        .where(
            ProjectIntake.pending > 0,
            Project.embedding_source == "service",
            Project.embedding_model.is_distinct_from(model),
        )
        .order_by(Project.id)
    )
    return [OtherModel(*row) for row in rows]


async def claim_prompts(
    session: AsyncSession, model: str, *, after_id: int, limit: int, set_aside: Collection[int]
) -> list[PendingPrompt]:
    """Lock the first pending prompts after a number that nobody else has locked.

    Served by the partial index on pending prompts. ``FOR NO KEY UPDATE``: responses can be added
    to a prompt meanwhile (``mark_ready`` will see them).
    """
    ours = select(Project.id).where(
        Project.embedding_source == "service", Project.embedding_model == model
    )
    claimed = await session.execute(
        select(Prompt.id, Prompt.project_id)
        .where(
            Prompt.status == "pending",
            Prompt.id > after_id,
            Prompt.id != all_(cast(list(set_aside), ARRAY(BigInteger))),
            Prompt.project_id.in_(ours),
        )
        .order_by(Prompt.id)
        .limit(limit)
        .with_for_update(of=Prompt, key_share=True, skip_locked=True)
    )
    return await _with_texts(session, {row.id: row.project_id for row in claimed})


async def _with_texts(session: AsyncSession, projects: Mapping[int, int]) -> list[PendingPrompt]:
    """The prompts (numbers, and their projects') with the texts that have no vector."""
    contents = await session.execute(
        select(Prompt.id, Prompt.content).where(
            Prompt.id.in_(projects),
            ~exists().where(PromptEmbedding.prompt_id == Prompt.id),
        )
    )
    own = {prompt_id: render_prompt(content) for prompt_id, content in contents}
    pending = {
        prompt_id: PendingPrompt(prompt_id, project_id, own.get(prompt_id))
        for prompt_id, project_id in projects.items()
    }
    responses = await session.execute(
        select(Response.prompt_id, Response.id, Response.text)
        .where(
            Response.prompt_id.in_(projects),
            ~exists().where(ResponseEmbedding.response_id == Response.id),
        )
        .order_by(Response.id)
    )
    for prompt_id, response_id, text in responses:
        pending[prompt_id].responses[response_id] = text
    return list(pending.values())


async def store_responses(session: AsyncSession, vectors: Mapping[int, Vector]) -> None:
    """Keep responses' vectors, by the response's number."""
    if vectors:
        await session.execute(
            insert(ResponseEmbedding).on_conflict_do_nothing(),
            [{"response_id": i, "vector": to_bytes(vector)} for i, vector in vectors.items()],
        )


async def store_prompts(
    session: AsyncSession, vectors: Mapping[int, Vector], projects: Mapping[int, int]
) -> None:
    """Keep prompts' vectors, by the prompt's number; ``projects`` says whose each prompt is."""
    if vectors:
        await session.execute(
            insert(PromptEmbedding).on_conflict_do_nothing(),
            [
                {"prompt_id": i, "project_id": projects[i], "vector": to_bytes(vector)}
                for i, vector in vectors.items()
            ],
        )


async def mark_ready(session: AsyncSession, prompt_ids: Collection[int]) -> Counter[int]:
    """Prompts whose texts all have vectors become ready; how many, by project.

    A prompt that got another response since it was claimed stays pending, for the next batch.
    """
    bare_response = exists().where(
        Response.prompt_id == Prompt.id,
        ~exists().where(ResponseEmbedding.response_id == Response.id),
    )
    ready = await session.scalars(
        update(Prompt)
        .where(Prompt.id.in_(prompt_ids), Prompt.status == "pending", ~bare_response)
        .values(status="ready")
        .returning(Prompt.project_id)
    )
    return Counter(ready)


async def count_ready(session: AsyncSession, ready: Mapping[int, int]) -> None:
    """Take what became ready off what is pending, by project.

    Project by project in the order of their numbers, so that two embedders never wait for each
    other; the last statement of a transaction, because intake waits for these rows.
    """
    for project_id, count in sorted(ready.items()):
        await session.execute(
            update(ProjectIntake)
            .where(ProjectIntake.project_id == project_id)
            .values(pending=ProjectIntake.pending - count)
        )
