"""The label-efficiency curve of a live project: what its labels have taught so far.

The model of ``fit.py`` is trained on the strategy's labels and those made elsewhere, in the order
in which they came, and tested on the exploration labels. Those are on pairs that nothing chose, and
no label on a prompt of the same group is trained on.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import UnknownProject
from app.preference.advice import Budget, advise
from app.preference.fit import MOST_LABELS, find_features, read_answers
from app.preference.measured import LEAST_TEST_LABELS, Evidence, Measured, Point, measure
from app.preference.queries import mean_cost
from app.storage.tables import Project

MOST_TEST_LABELS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Curve:
    """A project's curve; without points where there are too few exploration labels."""

    points: tuple[Point, ...]
    """By rising ``labels``."""
    advice: str
    """Whether it is worth going on, in plain words."""
    test_labels: int
    """The exploration labels that it is tested on."""


async def read_curve(session: AsyncSession, project_id: int) -> Curve:
    """The curve of a project as its labels are now; seconds of computing where there are many.

    Raises:
        UnknownProject: it has been deleted.
    """
    project = await session.get(Project, project_id)
    if project is None:
        raise UnknownProject("the project has been deleted")
    evidence = await read_evidence(session, project)
    return curve_of(project, await asyncio.to_thread(measure, evidence))


def curve_of(project: Project, measured: Measured) -> Curve:
    """What was measured, with advice for the project's budget as it is now."""
    budget = Budget(
        unit=project.unit,
        limit=None if project.budget_limit is None else float(project.budget_limit),
        spent=float(project.spent),
        exploration=project.exploration,
        counted_labels=project.counted_labels,
    )
    return Curve(measured.points, advise(measured, budget), measured.test_labels)


async def read_evidence(session: AsyncSession, project: Project) -> Evidence:
    """The labels that a curve is measured on.

    At most ``MOST_TEST_LABELS`` exploration labels, a fair sample, and the earliest ``MOST_LABELS``
    others: by then a head of 128 weights has learnt what it can.
    """
    dimensions = project.embedding_dimensions
    if dimensions is None:
        return Evidence(training=None, test=None)
    feature_map = await find_features(session, project.id, dimensions, side=True)
    if feature_map is None:
        return Evidence(training=None, test=None)

    test = await read_answers(
        session,
        project.id,
        dimensions,
        feature_map,
        arms=("exploration",),
        handed_out=True,
        most=MOST_TEST_LABELS,
    )
    if test is None or len(test) < LEAST_TEST_LABELS:
        return Evidence(training=None, test=test)
    training = await read_answers(
        session,
        project.id,
        dimensions,
        feature_map,
        arms=("strategy", "imported"),
        earliest=True,
        most=MOST_LABELS,
    )
    return Evidence(
        training,
        test,
        is_cut_off=training is not None and len(training) >= MOST_LABELS,
        mean_cost=await mean_cost(session, project.id),
    )
