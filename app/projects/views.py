"""Projects as answers show them."""

from dataclasses import dataclass
from decimal import Decimal

from app.projects.schemas import (
    Budget,
    Cost,
    Counts,
    LedgerView,
    Overlap,
    OwnProject,
    ProjectView,
    Unit,
)
from app.storage.tables import Project

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project, and the counts that other tables give."""

    project: Project
    prompts: int
    pending: int
    failed: int
    open_pairs: int
    held: int
    lapsed_reserved: Decimal
    latest_round: int


def project_view(row: ProjectRow) -> ProjectView:
    """A project, its ledger and its counts."""
    project = row.project
    ledger = ledger_view(project, row.lapsed_reserved)
    return ProjectView(
        name=project.name,
        guidelines=project.guidelines,
        plain_text=project.plain_text,
        strategy=project.strategy,
        budget=Budget(unit=ledger.unit, limit=ledger.limit),
        labels_per_pair=project.labels_per_pair,
        overlap=Overlap(share=project.overlap_share, labels=project.overlap_labels),
        pairs_per_prompt=project.pairs_per_prompt,
        exploration=project.exploration,
        lease_seconds=project.lease_seconds,
        cost=Cost(
            seconds_base=project.cost_seconds_base,
            words_per_minute=project.cost_words_per_minute,
            hourly_rate=project.cost_hourly_rate,
        ),
        ledger=ledger,
        counts=counts_view(row),
    )


def own_project(row: ProjectRow) -> OwnProject:
    """A project as its annotators see it."""
    return OwnProject(
        name=row.project.name,
        guidelines=row.project.guidelines,
        ledger=ledger_view(row.project, row.lapsed_reserved),
    )


def ledger_view(project: Project, lapsed: Decimal = _ZERO) -> LedgerView:
    """The project's ledger. ``lapsed`` is what expired assignments still reserve: it is free."""
    reserved = project.reserved - lapsed
    limit = project.budget_limit
    unit: Unit = project.unit  # type: ignore[assignment]  # the table's constraint holds the three
    return LedgerView(
        unit=unit,
        limit=None if limit is None else number(limit),
        spent=number(project.spent),
        reserved=number(reserved),
        remaining=(None if limit is None else number(max(_ZERO, limit - project.spent - reserved))),
    )


def number(amount: Decimal) -> float | int:
    """An amount as JSON shows it: whole numbers without a fraction."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def counts_view(row: ProjectRow) -> Counts:
    """The counts of a project as answers show them."""
    return Counts(
        prompts=row.prompts,
        pending_prompts=row.pending,
        failed_prompts=row.failed,
        open_pairs=row.open_pairs,
        held_assignments=row.held,
        labels=row.project.counted_labels,
        surplus_labels=row.project.surplus_labels,
        latest_round=row.latest_round,
    )
