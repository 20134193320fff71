"""The tables of accounts and projects."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Integer,
    SmallInteger,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.tables.base import Base, now


class Annotator(Base):
    """Somebody with a key: an annotator, or an admin.

    ``seen_at`` is when the last request with the key or a session came, give or take five minutes.
    """

    __tablename__ = "annotators"
    __table_args__ = (CheckConstraint("role IN ('admin', 'annotator')", name="role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    all_projects: Mapped[bool] = mapped_column(default=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = now()
    seen_at: Mapped[datetime | None]


class AnnotatorProject(Base):
    """A project that an annotator without ``all_projects`` may see."""

    __tablename__ = "annotator_projects"

    annotator_id: Mapped[int] = mapped_column(
        ForeignKey("annotators.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class BrowserSession(Base):
    """What a browser has instead of a key, until it expires or the annotator gets another key.

    ``key_hash`` is that of the key with which it began. A session whose ``key_hash`` is no longer
    the annotator's has ended.
    """

    __tablename__ = "sessions"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    annotator_id: Mapped[int] = mapped_column(
        ForeignKey("annotators.id", ondelete="CASCADE"), index=True
    )
    key_hash: Mapped[bytes]
    created_at: Mapped[datetime] = now()
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Invitation(Base):
    """What an annotator exchanges for a key, once. It may be the first key, or another one."""

    __tablename__ = "invitations"

    annotator_id: Mapped[int] = mapped_column(
        ForeignKey("annotators.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime]


class Installation(Base):
    """The one row that tells this installation from others; made when it is first asked for."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("is_only", name="is_only"),)

    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default="true")
    id: Mapped[str]


class Project(Base):
    """One labelling effort: its settings, and the counters of its ledger.

    ``spent`` and ``reserved`` are the sums over ``ledger_entries``. A transaction that changes them
    first locks this row (``FOR NO KEY UPDATE``), before any other lock. ``renamings`` counts how
    often an annotator's labels got another name: figures that were cached before hold the old one.
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
    plain_text: Mapped[bool] = mapped_column(server_default="false")
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
    renamings: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = now()


class ProjectIntake(Base):
    """How many prompts a project has: a table apart, so that intake never waits for claims.

    ``pending`` prompts have texts to embed, ``unplanned`` prompts have not arrived in the plan. A
    new prompt without embeddings counts as both. ``failed`` prompts have a text that the embedding
    model fails on, and count as neither. Updated by the last statement of a transaction.
    """

    __tablename__ = "project_intake"

    project_id: Mapped[int] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    prompts: Mapped[int] = mapped_column(server_default="0")
    pending: Mapped[int] = mapped_column(server_default="0")
    unplanned: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
