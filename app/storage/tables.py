"""The tables. Rows know their columns; what they mean together is told by the rooms that use them.

State lives here alone. There are no relationships: every query is written out, in the
``queries.py`` of the room it serves.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Computed,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from app.storage import predicates


class TransactionId(UserDefinedType[int]):
    """Postgres' ``xid8``: the number of a transaction, never reused."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in SQL."""
        return "xid8"


class Base(DeclarativeBase):
    """The root of all tables; constraint names are fixed, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        int: BigInteger,
        str: Text,
        float: Float(53),
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        Decimal: Numeric(20, 6),
        dict[str, Any]: JSONB,
    }


def _project_key(*, index: bool = False) -> Mapped[int]:
    return mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=index)


def _now() -> Mapped[datetime]:
    return mapped_column(server_default=func.now())


class Annotator(Base):
    """Somebody with a key: an annotator, or an admin."""

    __tablename__ = "annotators"
    __table_args__ = (CheckConstraint("role IN ('admin', 'annotator')", name="role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    all_projects: Mapped[bool] = mapped_column(default=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = _now()


class AnnotatorProject(Base):
    """A project that an annotator without ``all_projects`` may see."""

    __tablename__ = "annotator_projects"

    annotator_id: Mapped[int] = mapped_column(
        ForeignKey("annotators.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Project(Base):
    """One labelling effort: its settings, and the counters of its ledger.

    ``spent`` and ``reserved`` are the sums over ``ledger_entries``. Whoever changes them holds
    this row (``FOR NO KEY UPDATE``), taken before any other lock.
    """

    __tablename__ = "projects"
    __table_args__ = (
        CheckConstraint("unit IN ('labels', 'minutes', 'money')", name="unit"),
        CheckConstraint("embedding_source IN ('caller', 'service')", name="embedding_source"),
        CheckConstraint("reserved >= 0 AND spent >= 0", name="ledger"),
        CheckConstraint(
            "unit <> 'labels' OR budget_limit IS NULL OR spent + reserved <= budget_limit",
            name="budget",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    guidelines: Mapped[str]
    strategy: Mapped[str]
    unit: Mapped[str]
    budget_limit: Mapped[Decimal | None]
    labels_per_pair: Mapped[int] = mapped_column(SmallInteger)
    overlap_share: Mapped[float]
    overlap_labels: Mapped[int] = mapped_column(SmallInteger)
    pairs_per_prompt: Mapped[int | None] = mapped_column(Integer)
    exploration: Mapped[float]
    lease_seconds: Mapped[int] = mapped_column(Integer)
    cost_seconds_base: Mapped[float]
    cost_words_per_minute: Mapped[float]
    cost_hourly_rate: Mapped[Decimal | None]
    seed: Mapped[int]
    spent: Mapped[Decimal] = mapped_column(server_default="0")
    reserved: Mapped[Decimal] = mapped_column(server_default="0")
    strategy_assigned: Mapped[int] = mapped_column(server_default="0")
    exploration_assigned: Mapped[int] = mapped_column(server_default="0")
    counted_labels: Mapped[int] = mapped_column(server_default="0")
    surplus_labels: Mapped[int] = mapped_column(server_default="0")
    embedding_source: Mapped[str | None]
    embedding_dimensions: Mapped[int | None] = mapped_column(Integer)
    embedding_model: Mapped[str | None]
    created_at: Mapped[datetime] = _now()


class ProjectIntake(Base):
    """How many prompts a project has, kept apart from ``projects``: intake never waits for claims.

    ``pending`` have texts to embed; ``unplanned`` have not arrived in the plan (so every pending
    prompt that is new is unplanned too). Updated as the last statement of a transaction.
    """

    __tablename__ = "project_intake"

    project_id: Mapped[int] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    prompts: Mapped[int] = mapped_column(server_default="0")
    pending: Mapped[int] = mapped_column(server_default="0")
    unplanned: Mapped[int] = mapped_column(server_default="0")


class Prompt(Base):
    """What the model was asked. ``content`` is a string, or a list of chat messages.

    The planner fixes ``group_id``, ``exploration``, ``near_duplicate`` and ``order_key`` once, when
    the prompt arrives in the plan. ``pairs_planned`` counts its rows in ``pairs``, ``pairs_total``
    is k(k-1)/2, and ``pairs_considered`` what that was when the planner last chose: responses added
    since make it choose anew.
    """

    __tablename__ = "prompts"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'ready')", name="status"),
        UniqueConstraint("project_id", "external_id"),
        Index("ix_prompts_listing", "project_id", "id"),
        # The same prompt again, sent without an id.
        Index(
            "uq_prompts_fingerprint",
            "project_id",
            "fingerprint",
            unique=True,
            postgresql_where=text("external_id IS NULL"),
        ),
        # The embedder's next batch.
        Index("ix_prompts_pending", "id", postgresql_where=text("status = 'pending'")),
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
        # The planner: prompts that got responses since their pairs were chosen.
        Index(
            "ix_prompts_outgrown",
            "project_id",
            "id",
            postgresql_where=text(predicates.WITH_NEW_RESPONSES),
        ),
        Index("ix_prompts_group", "project_id", "group_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _project_key()
    external_id: Mapped[str | None]
    content: Mapped[Any] = mapped_column(JSONB)
    fingerprint: Mapped[bytes]
    prompt_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB)
    status: Mapped[str]
    group_id: Mapped[int | None]
    exploration: Mapped[bool | None]
    near_duplicate: Mapped[bool | None]
    order_key: Mapped[float | None]
    pairs_planned: Mapped[int] = mapped_column(Integer, server_default="0")
    pairs_total: Mapped[int] = mapped_column(Integer)
    pairs_considered: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = _now()


class Response(Base):
    """One candidate answer to a prompt."""

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
    model: Mapped[str | None]
    score: Mapped[float | None]
    reference: Mapped[bool] = mapped_column(Boolean, server_default="false")
    response_metadata: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB)


class ResponseEmbedding(Base):
    """A response's unit vector: little-endian float16."""

    __tablename__ = "response_embeddings"

    response_id: Mapped[int] = mapped_column(
        ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True
    )
    vector: Mapped[bytes]


class PromptEmbedding(Base):
    """A prompt's unit vector, and the transaction that wrote it (``written_by``).

    A reader that takes only rows below ``pg_snapshot_xmin`` never misses one: a row with a lower
    number that it has not seen cannot commit any more.
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


class ErasedPrompt(Base):
    """A prompt that was deleted after it may have entered an index: its number alone."""

    __tablename__ = "erased_prompts"
    __table_args__ = (Index("ix_erased_prompts_catch_up", "project_id", "written_by", "prompt_id"),)

    prompt_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[int] = _project_key()
    written_by: Mapped[int] = mapped_column(
        TransactionId, server_default=text("pg_current_xact_id()")
    )


class Pair(Base):
    """Two responses of one prompt that are, or were, in the plan, the lower number first.

    ``open`` pairs are the plan: they can be handed out, in the order of ``position`` within their
    ``arm``. ``held`` and ``counted`` are the assignments held and the labels counted; a pair never
    has more of both together than ``labels_wanted``. ``imported`` are labels made elsewhere. Until
    ``handed_out`` the planner may take it out again. A pair whose ``overlap_draw`` is below the
    project's overlap share wants the overlap's number of labels.
    """

    __tablename__ = "pairs"
    __table_args__ = (
        CheckConstraint("first_response_id < second_response_id", name="order"),
        CheckConstraint("arm IN ('strategy', 'exploration', 'imported')", name="arm"),
        CheckConstraint(
            "held >= 0 AND counted >= 0 AND imported >= 0 AND skips >= 0"
            " AND held + counted <= labels_wanted",
            name="room",
        ),
        UniqueConstraint("prompt_id", "first_response_id", "second_response_id"),
        # The claim: the first open pairs of an arm.
        Index(
            "ix_pairs_open", "project_id", "arm", "position", "id", postgresql_where=text("open")
        ),
        # The planner: pairs it may take out of the plan, because nobody has seen them.
        Index(
            "ix_pairs_untouched",
            "project_id",
            "arm",
            "strategy",
            postgresql_where=text(predicates.NEVER_HANDED_OUT),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _project_key()
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    # Responses go only together with their prompt, so no key (and no index) guards these two.
    first_response_id: Mapped[int]
    second_response_id: Mapped[int]
    similarity: Mapped[float | None]
    arm: Mapped[str]
    strategy: Mapped[str]
    propensity: Mapped[float | None]
    position: Mapped[float]
    expected_seconds: Mapped[float]
    labels_wanted: Mapped[int] = mapped_column(SmallInteger)
    overlap_draw: Mapped[float] = mapped_column(server_default=text("random()"))
    held: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    counted: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    imported: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    skips: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    handed_out: Mapped[bool] = mapped_column(server_default="false")
    open: Mapped[bool] = mapped_column(
        Computed("held + counted + imported < labels_wanted AND skips < 3", persisted=True)
    )
    created_at: Mapped[datetime] = _now()


class Assignment(Base):
    """One pair handed to one annotator until it lapses, with the side drawn for it.

    ``swapped``: the second response was shown on the left. ``reserved`` is what the ledger holds
    for it while it is held. A pair that comes back to its annotator revives the same row.
    """

    __tablename__ = "assignments"
    __table_args__ = (
        CheckConstraint("status IN ('held', 'answered', 'lapsed', 'released')", name="status"),
        UniqueConstraint("pair_id", "annotator_id"),
        # What an annotator holds.
        Index(
            "ix_assignments_held",
            "annotator_id",
            "project_id",
            postgresql_where=text(predicates.HELD_ASSIGNMENT),
        ),
        # What has lapsed.
        Index(
            "ix_assignments_lease",
            "project_id",
            "expires_at",
            postgresql_where=text(predicates.HELD_ASSIGNMENT),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _project_key()
    pair_id: Mapped[int] = mapped_column(ForeignKey("pairs.id", ondelete="CASCADE"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    swapped: Mapped[bool]
    status: Mapped[str]
    lease_seconds: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime]
    reserved: Mapped[Decimal]
    created_at: Mapped[datetime] = _now()


class Label(Base):
    """An annotator's answer. ``choice`` is what was pressed; the preference is about responses.

    ``annotator`` is the name, also where the label was made elsewhere and nobody here has it
    (then ``assignment_id`` is null and it cost nothing). A withdrawn label stays, as history.
    """

    __tablename__ = "labels"
    __table_args__ = (
        CheckConstraint(
            "choice IN ('left', 'right', 'tie', 'both_bad', 'skip')",
            name="choice",
        ),
        CheckConstraint(
            "status IN ('counted', 'surplus', 'skipped', 'withdrawn')",
            name="status",
        ),
        CheckConstraint(
            "(preferred_response_id IS NULL) = (choice IN ('tie', 'both_bad', 'skip'))"
            " AND (preferred_response_id IS NULL) = (rejected_response_id IS NULL)",
            name="preference",
        ),
        Index(
            "uq_labels_live",
            "pair_id",
            "annotator",
            unique=True,
            postgresql_where=text(predicates.LIVE_LABEL),
        ),
        Index(
            "uq_labels_assignment",
            "assignment_id",
            unique=True,
            postgresql_where=text(predicates.LIVE_LABEL),
        ),
        Index("ix_labels_listing", "project_id", "id"),
        Index("ix_labels_annotator", "annotator", "project_id", "id"),
        Index("ix_labels_prompt", "prompt_id"),
        Index("ix_labels_pair", "pair_id"),
        # The oldest surplus label of a pair.
        Index(
            "ix_labels_surplus", "pair_id", "id", postgresql_where=text(predicates.SURPLUS_LABEL)
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _project_key()
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    pair_id: Mapped[int] = mapped_column(ForeignKey("pairs.id", ondelete="CASCADE"))
    assignment_id: Mapped[int | None]
    annotator: Mapped[str]
    choice: Mapped[str]
    preferred_response_id: Mapped[int | None]
    rejected_response_id: Mapped[int | None]
    strength: Mapped[int | None] = mapped_column(SmallInteger)
    seconds: Mapped[float | None]
    rationale: Mapped[str | None]
    edited: Mapped[str | None]
    status: Mapped[str]
    cost: Mapped[Decimal] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = _now()
    withdrawn_at: Mapped[datetime | None]


class LedgerEntry(Base):
    """One change of a project's ledger. It outlives the assignment and the prompt it was for."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint("kind IN ('reserve', 'release', 'settle', 'refund')", name="kind"),
        Index("ix_ledger_entries_project", "project_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = _project_key()
    kind: Mapped[str]
    assignment_id: Mapped[int | None]
    label_id: Mapped[int | None]
    spent: Mapped[Decimal]
    reserved: Mapped[Decimal]
    created_at: Mapped[datetime] = _now()
