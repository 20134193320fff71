"""The figures of a project that events tell of, and what each event is about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from app.projects.ledger_view import counts_view, ledger_view
from app.projects.queries import ProjectRow
from app.projects.schemas import Counts, LedgerView


class EventKind(StrEnum):
    """The kinds of events, in the order in which they are told."""

    LABEL = "label"
    PROMPTS = "prompts"
    PLAN = "plan"
    LEDGER = "ledger"


_ABOUT: Final[dict[EventKind, Callable[[Counts, LedgerView], object]]] = {
    EventKind.LABEL: lambda counts, _: (counts.labels, counts.surplus_labels),
    EventKind.PROMPTS: lambda counts, _: (counts.prompts, counts.pending_prompts),
    EventKind.PLAN: lambda counts, _: (counts.open_pairs, counts.held_assignments),
    EventKind.LEDGER: lambda _, ledger: tuple(ledger.model_dump().values()),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """A project's counts and ledger at one moment.

    ``marks`` differ where what their kind of event is about differs. They are the same in every
    process, and tell nothing to whoever is not told the figures.
    """

    project_id: int
    counts: Counts
    ledger: LedgerView
    marks: Mapping[EventKind, str]


def figures_of(row: ProjectRow) -> Figures:
    """The figures of a project."""
    counts, ledger = counts_view(row), ledger_view(row.project, row.lapsed_reserved)
    secret = str(row.project.seed).encode()
    marks = {
        kind: blake2b(repr(about(counts, ledger)).encode(), key=secret, digest_size=6).hexdigest()
        for kind, about in _ABOUT.items()
    }
    return Figures(row.project.id, counts, ledger, marks)
