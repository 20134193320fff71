"""A project as answers show it."""

from app.projects.ledger_view import counts_view, ledger_view
from app.projects.queries import ProjectRow
from app.projects.schemas import Budget, Cost, Overlap, ProjectView


def project_view(row: ProjectRow) -> ProjectView:
    """A project, its ledger and its counts."""
    project = row.project
    ledger = ledger_view(project, row.lapsed_reserved)
    return ProjectView(
        name=project.name,
        guidelines=project.guidelines,
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
