"""The tables of prompts, responses and their embeddings."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.storage import predicates
from app.storage.tables.base import Base, TransactionId, now, project_key


class Prompt(Base):
    """What the model was asked. ``content`` is a string, or a list of chat messages.

    ``tools`` keep the order of their keys, in which templates print them. ``with_tools``: the
    prompt has tools, or a field beside role and content in a turn, or a response has tool calls.

    The planner fixes ``group_id``, ``exploration``, ``near_duplicate`` and ``order_key`` once, when
    the prompt arrives in the plan. ``pairs_planned`` counts its rows in ``pairs``, ``pairs_total``
    is k(k-1)/2, and ``pairs_considered`` what that was when the planner last chose its pairs: if
    responses have been added since, it chooses again. ``failure`` says why a prompt is ``failed``:
    which of its texts the embedding model fails on, never the text itself. ``import_id`` is the
    import that added to the prompt, until the planner finds that it has ended.

    ``latest_round`` is that of its newest response. The planner notes in ``next_round`` of which
    round the next pair will be (a pair belongs to the older round of its two responses), and, if
    that is not 1, in ``next_place`` how many pairs of that round are planned.
    """

    __tablename__ = "prompts"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'ready', 'failed')", name="status"),
        CheckConstraint("(status = 'failed') = (failure IS NOT NULL)", name="failure"),
        UniqueConstraint("project_id", "external_id"),
        Index("ix_prompts_listing", "project_id", "id"),
        # The same prompt again, sent without an id.
        Index(
            "uq_prompts_fingerprint",
            "project_id",
            "fingerprint",
            unique=True,
            postgresql_where=text(predicates.UNNAMED_PROMPT),
        ),
        # The oldest prompt of the same content, for rows without an id.
        Index(
            "ix_prompts_content",
            text(predicates.CONTENT_HASH),
            postgresql_where=text(predicates.UNNAMED_PROMPT),
        ),
        # What an import added to.
        Index(
            "ix_prompts_import",
            "project_id",
            "import_id",
            "id",
            postgresql_where=text(predicates.IN_IMPORT),
        ),
        # The embedder's next batch.
        Index("ix_prompts_pending", "id", postgresql_where=text("status = 'pending'")),
        # The prompts that the embedding model failed on.
        Index(
            "ix_prompts_failed",
            "project_id",
            "id",
            postgresql_where=text(predicates.FAILED_PROMPT),
        ),
        # The planner: prompts that have not arrived in the plan.
        Index(
            "ix_prompts_unplanned",
            "project_id",
            "id",
            postgresql_where=text(predicates.ARRIVING_PROMPT),
        ),
        # The planner: prompts whose next pair could enter the plan, in the order of the rounds.
        Index(
            "ix_prompts_plannable",
            "project_id",
            "exploration",
            "pairs_planned",
            "near_duplicate",
            "order_key",
            "id",
            postgresql_where=text(predicates.PLANNABLE_PROMPT),
        ),
        # The same for prompts whose next pair is of a later round: these come first.
        Index(
            "ix_prompts_fresh",
            "project_id",
            text("next_round DESC"),
            "exploration",
            "next_place",
            "near_duplicate",
            "order_key",
            "id",
            postgresql_where=text(predicates.FRESH_PROMPT),
        ),
        # The newest round of a project.
        Index(
            "ix_prompts_rounds",
            "project_id",
            "latest_round",
            postgresql_where=text(predicates.WITH_LATER_ROUND),
        ),
        # The planner: prompts that got responses since their pairs were chosen.
        Index(
            "ix_prompts_outgrown",
            "project_id",
            "id",
            postgresql_where=text(predicates.WITH_NEW_RESPONSES),
        ),
        Index("ix_prompts_group", "project_id", "group_id"),
        # The exports: prompts that cannot be written as plain strings.
        Index("ix_prompts_with_tools", "project_id", "id", postgresql_where=text("with_tools")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = project_key()
    external_id: Mapped[str | None]
    content: Mapped[Any] = mapped_column(JSONB)
    tools: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    with_tools: Mapped[bool] = mapped_column(Boolean, server_default="false")
    fingerprint: Mapped[bytes]
    prompt_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB)
    status: Mapped[str]
    failure: Mapped[str | None]
    group_id: Mapped[int | None]
    exploration: Mapped[bool | None]
    near_duplicate: Mapped[bool | None]
    order_key: Mapped[float | None]
    pairs_planned: Mapped[int] = mapped_column(Integer, server_default="0")
    pairs_total: Mapped[int] = mapped_column(Integer)
    pairs_considered: Mapped[int | None] = mapped_column(Integer)
    latest_round: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    next_round: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    next_place: Mapped[int] = mapped_column(Integer, server_default="0")
    import_id: Mapped[int | None]
    created_at: Mapped[datetime] = now()


class Import(Base):
    """An import that runs, or whose prompts the planner has not released yet.

    It runs until ``expires_at``, which its process moves on while it lives; an import that has
    ended expires at that moment. ``shared``: another import added to some of the same prompts. The
    counts are of its lines so far.
    """

    __tablename__ = "imports"
    __table_args__ = (Index("ix_imports_project", "project_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = project_key()
    shared: Mapped[bool] = mapped_column(Boolean, server_default="false")
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime]
    created: Mapped[int] = mapped_column(server_default="0")
    extended: Mapped[int] = mapped_column(server_default="0")
    unchanged: Mapped[int] = mapped_column(server_default="0")
    rejected: Mapped[int] = mapped_column(server_default="0")


class Response(Base):
    """One candidate answer to a prompt, in the round in which it was first sent."""

    __tablename__ = "responses"
    __table_args__ = (
        UniqueConstraint("prompt_id", "external_id"),
        UniqueConstraint("prompt_id", "position"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    external_id: Mapped[str | None]
    position: Mapped[int] = mapped_column(SmallInteger)
    text: Mapped[str]
    tool_calls: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    model: Mapped[str | None]
    score: Mapped[float | None]
    reference: Mapped[bool] = mapped_column(Boolean, server_default="false")
    round: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    response_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB)


class ResponseEmbedding(Base):
    """A response's unit vector: little-endian float16."""

    __tablename__ = "response_embeddings"

    response_id: Mapped[int] = mapped_column(
        ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True
    )
    vector: Mapped[bytes]


class ResponseStyle(Base):
    """The style of a response (``app.embedding.style``) as little-endian float32, and its version.

    The embedder writes it with the vector; for vectors that callers send, and for those that an
    older service has stored, soon after.
    """

    __tablename__ = "response_styles"

    response_id: Mapped[int] = mapped_column(
        ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(SmallInteger)
    features: Mapped[bytes]


class PromptEmbedding(Base):
    """A prompt's unit vector, and the transaction that wrote it (``written_by``).

    A reader that reads only rows below ``pg_snapshot_xmin`` never misses one: no row with a lower
    number can still be committed.
    """

    __tablename__ = "prompt_embeddings"
    __table_args__ = (
        Index("ix_prompt_embeddings_catch_up", "project_id", "written_by", "prompt_id"),
    )

    prompt_id: Mapped[int] = mapped_column(
        ForeignKey("prompts.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int]
    vector: Mapped[bytes]
    written_by: Mapped[int] = mapped_column(
        TransactionId, server_default=text("pg_current_xact_id()")
    )


class QuestionEmbedding(Base):
    """The unit vector of what a prompt asks, which it is grouped by, and what wrote it.

    Only prompts that the service embeds have one: callers' own vectors group as they are given.
    ``version`` is that of the rule that finds the question in a prompt, ``written_by`` is as above.
    """

    __tablename__ = "question_embeddings"
    __table_args__ = (
        Index(
            "ix_question_embeddings_catch_up", "project_id", "version", "written_by", "prompt_id"
        ),
    )

    prompt_id: Mapped[int] = mapped_column(
        ForeignKey("prompts.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int]
    version: Mapped[int] = mapped_column(SmallInteger)
    vector: Mapped[bytes]
    written_by: Mapped[int] = mapped_column(
        TransactionId, server_default=text("pg_current_xact_id()")
    )


class QuestionProgress(Base):
    """The last row of ``prompt_embeddings`` up to which a project's questions have vectors.

    The embedder reads on from here, in the order of ``written_by``, and embeds the questions that
    have no vector of this version yet: those of prompts that an older service has embedded.
    """

    __tablename__ = "question_progress"

    project_id: Mapped[int] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    version: Mapped[int] = mapped_column(SmallInteger)
    written_by: Mapped[int] = mapped_column(TransactionId)
    prompt_id: Mapped[int]


class ErasedPrompt(Base):
    """The id of a deleted prompt, for indexes that may hold its vector."""

    __tablename__ = "erased_prompts"
    __table_args__ = (Index("ix_erased_prompts_catch_up", "project_id", "written_by", "prompt_id"),)

    prompt_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[int] = project_key()
    written_by: Mapped[int] = mapped_column(
        TransactionId, server_default=text("pg_current_xact_id()")
    )
