"""A project's ledger and counts as answers show them."""

from decimal import Decimal

from app.projects.queries import ProjectRow
from app.projects.schemas import Counts, LedgerView, Unit
from app.storage.tables import Project

_ZERO = Decimal(0)


def ledger_view(project: Project, lapsed: Decimal = _ZERO) -> LedgerView:
    """The project's ledger; what lapsed assignments still reserve counts as free."""
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
        open_pairs=row.open_pairs,
        held_assignments=row.held,
        labels=row.project.counted_labels,
        surplus_labels=row.project.surplus_labels,
    )
