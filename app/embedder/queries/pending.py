"""The SQL of pending prompts: claim them, store the vectors of their texts, and count them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from numpy import float32
from numpy.typing import NDArray
from sqlalchemy import Row, exists, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import to_bytes
from app.formats.tool_calls import render_response
from app.prompts.question import QUESTION_VERSION, question
from app.prompts.text import render_prompt
from app.storage.ids import IdKind, encode
from app.storage.tables import (
    Project,
    ProjectIntake,
    Prompt,
    PromptEmbedding,
    QuestionEmbedding,
    Response,
    ResponseEmbedding,
)

Vector = NDArray[float32]


@dataclass(frozen=True, slots=True)
class PendingPrompt:
    """A claimed prompt, with those of its texts that have no vector yet."""

    id: int
    project_id: int
    text: str | None = None
    """None if the prompt has its vector, and only responses were added to it."""
    question: tuple[str, ...] = ()
    """The texts of what it asks; none if the question has its vector."""
    responses: dict[int, str] = field(default_factory=dict)
    """By the response's id."""

    @property
    def texts(self) -> list[str]:
        """The texts to embed, each once."""
        return list(self.names)

    @property
    def names(self) -> dict[str, str]:
        """What each of the texts is called."""
        names: dict[str, str] = {}
        for response_id, answer in self.responses.items():
            names.setdefault(answer, f"the response {encode(IdKind.RESPONSE, response_id)}")
        if self.text is not None:
            names.setdefault(self.text, "the prompt's own text")
        for asked in self.question:
            names.setdefault(asked, "what the prompt asks")
        return names


async def adopt_projects(session: AsyncSession, model: str, dimensions: int) -> None:
    """Bind projects that have no model yet, and need one of the service, to this model for good."""
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


async def find_other_models(
    session: AsyncSession, model: str
) -> Sequence[Row[int, str, str | None]]:
    """The id, name and model of projects with pending prompts that are bound to another model.

    A project without a model is not one of them: it may have arrived since ``adopt_projects``, and
    the next call binds it.
    """
    rows = await session.execute(
        select(Project.id, Project.name, Project.embedding_model)
        .join(ProjectIntake, ProjectIntake.project_id == Project.id)
        .where(
            ProjectIntake.pending > 0,
            Project.embedding_source == "service",
            Project.embedding_model != model,
        )
        .order_by(Project.id)
    )
    return rows.all()


async def claim_prompts(
    session: AsyncSession, model: str, *, after_id: int, limit: int
) -> list[PendingPrompt]:
    """Lock the first pending prompts after ``after_id`` that nobody else has locked.

    Served by the partial index on pending prompts. The lock is ``FOR NO KEY UPDATE``, so responses
    can be added to a prompt meanwhile; ``mark_ready`` finds them.
    """
    ours = select(Project.id).where(
        Project.embedding_source == "service", Project.embedding_model == model
    )
    claimed = await session.execute(
        select(Prompt.id, Prompt.project_id)
        .where(
            Prompt.status == "pending",
            Prompt.id > after_id,
            Prompt.project_id.in_(ours),
        )
        .order_by(Prompt.id)
        .limit(limit)
        .with_for_update(of=Prompt, key_share=True, skip_locked=True)
    )
    return await _with_texts(session, {row.id: row.project_id for row in claimed})


async def _with_texts(session: AsyncSession, projects: Mapping[int, int]) -> list[PendingPrompt]:
    """The prompts, given with their projects, and those of their texts that have no vector."""
    no_vector = ~exists().where(PromptEmbedding.prompt_id == Prompt.id)
    no_question = ~exists().where(
        QuestionEmbedding.prompt_id == Prompt.id, QuestionEmbedding.version >= QUESTION_VERSION
    )
    contents = await session.execute(
        select(
            Prompt.id,
            Prompt.content,
            no_vector.label("has_no_vector"),
            no_question.label("has_no_question"),
        ).where(Prompt.id.in_(projects), no_vector | no_question)
    )
    pending = {
        prompt_id: PendingPrompt(prompt_id, project_id)
        for prompt_id, project_id in projects.items()
    }
    for row in contents:
        pending[row.id] = replace(
            pending[row.id],
            text=render_prompt(row.content) if row.has_no_vector else None,
            question=question(row.content) if row.has_no_question else (),
        )
    responses = await session.execute(
        select(Response.prompt_id, Response.id, Response.text, Response.tool_calls)
        .where(
            Response.prompt_id.in_(projects),
            ~exists().where(ResponseEmbedding.response_id == Response.id),
        )
        .order_by(Response.id)
    )
    for row in responses:
        pending[row.prompt_id].responses[row.id] = render_response(row.text, row.tool_calls)
    return list(pending.values())


async def store_responses(session: AsyncSession, vectors: Mapping[int, Vector]) -> None:
    """Store the vectors of responses, by id."""
    if vectors:
        await session.execute(
            insert(ResponseEmbedding).on_conflict_do_nothing(),
            [{"response_id": i, "vector": to_bytes(vector)} for i, vector in vectors.items()],
        )


async def store_prompts(
    session: AsyncSession, vectors: Mapping[int, Vector], projects: Mapping[int, int]
) -> None:
    """Store the vectors of prompts, by id; ``projects`` has the project of each prompt."""
    if vectors:
        await session.execute(
            insert(PromptEmbedding).on_conflict_do_nothing(),
            [
                {"prompt_id": i, "project_id": projects[i], "vector": to_bytes(vector)}
                for i, vector in vectors.items()
            ],
        )


async def mark_ready(session: AsyncSession, prompt_ids: Collection[int]) -> Counter[int]:
    """Mark the prompts whose texts all have vectors as ready; return how many, by project.

    A prompt that got another response since it was claimed stays pending, for the next batch.
    """
    response_without_vector = exists().where(
        Response.prompt_id == Prompt.id,
        ~exists().where(ResponseEmbedding.response_id == Response.id),
    )
    ready = await session.scalars(
        update(Prompt)
        .where(Prompt.id.in_(prompt_ids), Prompt.status == "pending", ~response_without_vector)
        .values(status="ready")
        .returning(Prompt.project_id)
    )
    return Counter(ready)


_MARK_FAILED = text("""
    UPDATE prompts SET status = 'failed', failure = new.failure
    FROM unnest(CAST(:ids AS bigint[]), CAST(:failures AS text[])) AS new (id, failure)
    WHERE prompts.id = new.id AND prompts.status = 'pending'
    RETURNING prompts.project_id, prompts.group_id IS NOT NULL AS has_arrived
""")


async def mark_failed(
    session: AsyncSession, failures: Mapping[int, str]
) -> Sequence[Row[int, bool]]:
    """Mark prompts as failed, by id with the reasons.

    Returns:
        The project of each, and whether the prompt has arrived in the plan.
    """
    if not failures:
        return []
    parameters = {"ids": list(failures), "failures": list(failures.values())}
    rows: Sequence[Row[int, bool]] = (await session.execute(_MARK_FAILED, parameters)).all()
    return rows


async def count_done(
    session: AsyncSession, ready: Mapping[int, int], failed: Sequence[Row[int, bool]]
) -> None:
    """Count prompts as no longer pending.

    ``ready`` has the number of those that became ready, by project; ``failed`` is what
    ``mark_failed`` returned. Rows are locked in the order of the projects' ids, so that two
    embedders never deadlock. Call it last in a transaction, because intake waits for these rows.
    """
    for project_id in sorted({*ready, *(row.project_id for row in failed)}):
        arrived = [row.has_arrived for row in failed if row.project_id == project_id]
        await session.execute(
            update(ProjectIntake)
            .where(ProjectIntake.project_id == project_id)
            .values(
                pending=ProjectIntake.pending - ready.get(project_id, 0) - len(arrived),
                failed=ProjectIntake.failed + len(arrived),
                unplanned=ProjectIntake.unplanned - arrived.count(False),
            )
        )
