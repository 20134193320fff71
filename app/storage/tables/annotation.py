"""The tables of the plan, and of what annotators do with it."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.storage import predicates
from app.storage.tables.base import Base, now, project_key


class Pair(Base):
    """Two responses of one prompt that are, or were, in the plan, the lower number first.

    ``open`` pairs are the plan: they can be handed out, in the order of ``position`` within their
    ``arm``. ``held``, ``counted`` and ``imported`` are numbers of assignments and labels; the first
    two together never exceed ``labels_wanted``. Until a pair is ``handed_out``, the planner may
    remove it again. A pair whose ``overlap_draw`` is below the project's overlap share wants the
    overlap's number of labels.
    """

    __tablename__ = "pairs"
    __table_args__ = (
        CheckConstraint("first_response_id < second_response_id", name="order"),
        CheckConstraint("arm IN ('strategy', 'exploration', 'imported', 'automatic')", name="arm"),
        CheckConstraint(
            "held >= 0 AND counted >= 0 AND imported >= 0 AND skips >= 0"
            " AND held + counted <= labels_wanted",
            name="room",
        ),
        UniqueConstraint("prompt_id", "first_response_id", "second_response_id"),
        # The claim: the first open pairs of an arm.
        Index(
            "ix_pairs_open",
            "project_id",
            "arm",
            "position",
            "id",
            postgresql_where=text(predicates.OPEN_PAIR),
        ),
        # The planner: pairs it may remove from the plan, because nobody has seen them.
        Index(
            "ix_pairs_untouched",
            "project_id",
            "arm",
            "strategy",
            postgresql_where=text(predicates.NEVER_HANDED_OUT),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = project_key()
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id", ondelete="CASCADE"))
    # Responses are deleted only with their prompt, so these two need no foreign key.
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
    open: Mapped[bool] = mapped_column(Computed(predicates.HAS_ROOM, persisted=True))
    created_at: Mapped[datetime] = now()


class Assignment(Base):
    """One pair handed to one annotator until it lapses, with the side drawn for it.

    ``swapped``: the second response was shown on the left. ``reserved`` is what the ledger reserves
    for it while it is held. If the annotator gets the pair again, it is the same row.
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
    project_id: Mapped[int] = project_key()
    pair_id: Mapped[int] = mapped_column(ForeignKey("pairs.id", ondelete="CASCADE"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    swapped: Mapped[bool]
    status: Mapped[str]
    lease_seconds: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime]
    reserved: Mapped[Decimal]
    created_at: Mapped[datetime] = now()


class Label(Base):
    """An annotator's answer. ``choice`` is what was pressed; the preference is about responses.

    An imported label has no ``assignment_id`` and cost nothing. One that no person gave is
    ``automatic``: it counts for nothing but exports that ask for it. Its ``annotator`` is a name,
    which need not be that of an annotator here, and may have imported labels of several answers to
    one pair.

    A withdrawn label stays as history; ``withdrawn_by`` is an annotator's number, unknown for those
    withdrawn before it was kept. ``disputed``: another label of the pair that stands says
    otherwise; skips say nothing. ``edited`` is the preferred response, improved, and
    ``edited_rejected`` the other one, brought nearer to it.
    """

    __tablename__ = "labels"
    __table_args__ = (
        CheckConstraint(
            "choice IN ('left', 'right', 'tie', 'both_bad', 'skip')",
            name="choice",
        ),
        CheckConstraint(
            "status IN ('counted', 'surplus', 'skipped', 'withdrawn', 'automatic')",
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
            text(f"({predicates.IMPORTED_ANSWER})"),
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
        # The review: the newest labels of each kind that may be rare. The status is there to count.
        Index(
            "ix_labels_disputed",
            "project_id",
            "id",
            postgresql_include=["status"],
            postgresql_where=text(predicates.DISPUTED_LABEL),
        ),
        Index(
            "ix_labels_reason",
            "project_id",
            "id",
            postgresql_include=["status"],
            postgresql_where=text(predicates.LABEL_WITH_REASON),
        ),
        Index(
            "ix_labels_edited",
            "project_id",
            "id",
            postgresql_include=["status"],
            postgresql_where=text(predicates.EDITED_LABEL),
        ),
        Index(
            "ix_labels_uncounted",
            "project_id",
            "status",
            "id",
            postgresql_where=text(predicates.UNCOUNTED_LABEL),
        ),
        Index(
            "ix_labels_undecided",
            "project_id",
            "choice",
            "id",
            postgresql_where=text(predicates.UNDECIDED_LABEL),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = project_key()
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
    edited_rejected: Mapped[str | None]
    status: Mapped[str]
    cost: Mapped[Decimal] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = now()
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[int | None] = mapped_column(ForeignKey("annotators.id"))
    disputed: Mapped[bool] = mapped_column(server_default="false")


class LedgerEntry(Base):
    """One change of a project's ledger. It stays when its assignment and prompt are erased."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint("kind IN ('reserve', 'release', 'settle', 'refund')", name="kind"),
        Index("ix_ledger_entries_project", "project_id", "id"),
        Index(
            "ix_ledger_entries_spend",
            "project_id",
            "created_at",
            postgresql_include=["spent"],
            postgresql_where="spent <> 0",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = project_key()
    kind: Mapped[str]
    assignment_id: Mapped[int | None]
    label_id: Mapped[int | None]
    spent: Mapped[Decimal]
    reserved: Mapped[Decimal]
    created_at: Mapped[datetime] = now()
