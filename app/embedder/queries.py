"""All SQL of the embedder."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from numpy import float32
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Row, exists, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.style import STYLE_VERSION
from app.embedding.unit import to_bytes
from app.formats.tool_calls import render_response
from app.prompts.question import QUESTION_VERSION, question
from app.prompts.text import render_prompt
from app.storage.ids import IdKind, encode
from app.storage.sql import among
from app.storage.tables import (
    Project,
    ProjectIntake,
    Prompt,
    PromptEmbedding,
    QuestionEmbedding,
    Response,
    ResponseEmbedding,
)
from app.vectors.marks import Position

Vector = NDArray[float32]

_LOOKED_AT_AT_A_TIME = 4096
"""Prompts whose question may have its vector already: looking at one costs a few microseconds."""


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


@dataclass(frozen=True, slots=True)
class OldPrompts:
    """A claimed part of a project: prompts in the order in which their vectors were written."""

    project_id: int
    positions: Sequence[Position]
    """Of all prompts of the part."""
    without_question: Sequence[PendingPrompt]
    """Those whose question has no vector of this version."""

    def positions_before(self, prompt_ids: Collection[int]) -> list[Position]:
        """The positions before the first of these prompts; all, if there are none."""
        return list(takewhile(lambda each: each.prompt_id not in prompt_ids, self.positions))


_OPEN_PROGRESS = text("""
    INSERT INTO question_progress AS progress (project_id, version, written_by, prompt_id)
    SELECT id, :version, '0', 0 FROM projects
    WHERE embedding_source = 'service' AND embedding_model = :model AND NOT EXISTS (
        SELECT FROM question_progress AS known
        WHERE known.project_id = projects.id AND known.version >= :version
    )
    ON CONFLICT (project_id) DO UPDATE
    SET version = excluded.version, written_by = excluded.written_by, prompt_id = excluded.prompt_id
    WHERE progress.version < excluded.version
""")

_CLAIM_PROGRESS = text("""
    SELECT progress.project_id, progress.written_by::text AS written_by, progress.prompt_id
    FROM question_progress AS progress JOIN projects ON projects.id = progress.project_id
    WHERE projects.embedding_source = 'service' AND projects.embedding_model = :model
      AND progress.version = :version
      AND EXISTS (
        SELECT FROM prompt_embeddings AS embedded
        WHERE embedded.project_id = progress.project_id
          AND (embedded.written_by, embedded.prompt_id)
            > (progress.written_by, progress.prompt_id)
          AND embedded.written_by < pg_snapshot_xmin(pg_current_snapshot())
      )
    ORDER BY progress.project_id
    LIMIT 1
    FOR UPDATE OF progress SKIP LOCKED
""")

_EMBEDDED_AFTER = text("""
    SELECT embedded.prompt_id, embedded.written_by::text::bigint AS written_by,
        NOT EXISTS (
            SELECT FROM question_embeddings AS known
            WHERE known.prompt_id = embedded.prompt_id AND known.version >= :version
        ) AS has_no_question
    FROM prompt_embeddings AS embedded
    WHERE embedded.project_id = :project_id
      AND (embedded.written_by, embedded.prompt_id)
        > (CAST(CAST(:written_by AS text) AS xid8), :prompt_id)
      AND embedded.written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY embedded.written_by, embedded.prompt_id
    LIMIT :limit
""")

_STORE_QUESTIONS = text("""
    INSERT INTO question_embeddings (prompt_id, project_id, version, vector)
    SELECT prompts.id, prompts.project_id, :version, new.vector
    FROM unnest(CAST(:ids AS bigint[]), CAST(:vectors AS bytea[])) AS new (id, vector)
    JOIN prompts ON prompts.id = new.id
    ORDER BY prompts.id
    FOR KEY SHARE OF prompts SKIP LOCKED
    ON CONFLICT (prompt_id) DO UPDATE
    SET version = excluded.version, vector = excluded.vector, written_by = excluded.written_by
    WHERE question_embeddings.version < excluded.version
    RETURNING prompt_id
""")

_MOVE_PROGRESS = text("""
    UPDATE question_progress
    SET written_by = CAST(CAST(:written_by AS text) AS xid8), prompt_id = :prompt_id
    WHERE project_id = :project_id
""")


async def open_progress(session: AsyncSession, model: str) -> None:
    """Begin at the first vector in projects of this model without progress in this version."""
    await session.execute(_OPEN_PROGRESS, {"model": model, "version": QUESTION_VERSION})


async def claim_old_prompts(session: AsyncSession, model: str, *, limit: int) -> OldPrompts | None:
    """Lock the progress of a project with prompts to look at, and give the next of these.

    At most ``limit`` of them have a question to embed. Vectors are read in the order of the
    transactions that wrote them, and only of those that have ended, so none is ever passed over.
    Served by ``ix_prompt_embeddings_catch_up`` and primary keys.
    """
    of_version = {"model": model, "version": QUESTION_VERSION}
    progress = (await session.execute(_CLAIM_PROGRESS, of_version)).one_or_none()
    if progress is None:
        return None
    found = await session.execute(
        _EMBEDDED_AFTER, {**of_version, **progress._mapping, "limit": _LOOKED_AT_AT_A_TIME}
    )
    positions: list[Position] = []
    missing: list[int] = []
    for row in found:
        if row.has_no_question:
            if len(missing) == limit:
                break
            missing.append(row.prompt_id)
        positions.append(Position(row.written_by, row.prompt_id))
    contents = await session.execute(
        select(Prompt.id, Prompt.content).where(among(Prompt.id, missing, BigInteger))
    )
    without_question = [
        PendingPrompt(row.id, progress.project_id, question=question(row.content))
        for row in contents
    ]
    return OldPrompts(progress.project_id, positions, without_question)


async def store_questions(session: AsyncSession, vectors: Mapping[int, Vector]) -> set[int]:
    """Store the vectors of what prompts ask, by the prompts' ids; gives those that are stored.

    A prompt that is being erased is left out. A vector of an older version is replaced.
    """
    stored = await session.scalars(
        _STORE_QUESTIONS,
        {
            "version": QUESTION_VERSION,
            "ids": list(vectors),
            "vectors": [to_bytes(vector) for vector in vectors.values()],
        },
    )
    return set(stored)


async def move_progress(session: AsyncSession, project_id: int, position: Position) -> None:
    """Note that all questions up to a position have vectors."""
    await session.execute(_MOVE_PROGRESS, {"project_id": project_id, **position.as_parameters()})


_WITHOUT_STYLE = text("""
    SELECT embedded.response_id, responses.text, responses.tool_calls
    FROM response_embeddings AS embedded
    JOIN responses ON responses.id = embedded.response_id
    WHERE embedded.response_id > :after AND embedded.response_id <= :through AND NOT EXISTS (
        SELECT FROM response_styles AS known
        WHERE known.response_id = embedded.response_id AND known.version >= :version
    )
    ORDER BY embedded.response_id
    LIMIT :limit
""")
_LAST_RESPONSE = text("SELECT coalesce(max(response_id), 0) FROM response_embeddings")
_LOCK_STYLES = text("SELECT pg_try_advisory_xact_lock(hashtextextended('styles of responses', 0))")
_STORE_STYLES = text("""
    INSERT INTO response_styles (response_id, version, features)
    SELECT responses.id, :version, new.features
    FROM unnest(CAST(:ids AS bigint[]), CAST(:features AS bytea[])) AS new (id, features)
    JOIN responses ON responses.id = new.id
    ORDER BY responses.id
    FOR KEY SHARE OF responses SKIP LOCKED
    ON CONFLICT (response_id) DO UPDATE
    SET version = excluded.version, features = excluded.features
    WHERE response_styles.version < excluded.version
""")


async def lock_styles(session: AsyncSession) -> bool:
    """Whether this transaction alone fills in styles."""
    return bool(await session.scalar(_LOCK_STYLES))


async def last_response(session: AsyncSession) -> int:
    """The highest id of a response with a vector."""
    return int(await session.scalar(_LAST_RESPONSE) or 0)


async def responses_without_style(
    session: AsyncSession, *, after: int, through: int, limit: int
) -> dict[int, str]:
    """The texts of responses that have a vector and no style of this version, by rising id.

    Served by primary keys.
    """
    rows = await session.execute(
        _WITHOUT_STYLE,
        {"after": after, "through": through, "version": STYLE_VERSION, "limit": limit},
    )
    return {row.response_id: render_response(row.text, row.tool_calls) for row in rows}


async def store_styles(session: AsyncSession, styles: Mapping[int, bytes]) -> None:
    """Store the styles of responses, by id; a response that is being erased is left out."""
    if styles:
        await session.execute(
            _STORE_STYLES,
            {"version": STYLE_VERSION, "ids": list(styles), "features": list(styles.values())},
        )
