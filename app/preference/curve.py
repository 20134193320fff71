"""The label-efficiency curve of a live project: what its labels have taught so far.

The model of ``fit.py`` is trained on the strategy's labels and those made elsewhere, in the order
in which they came, and tested on the exploration labels. Those are on pairs that nothing chose, and
no label on a prompt of the same group is trained on.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import UnknownProject
from app.preference import queries
from app.preference.advice import Budget, advise
from app.preference.fit import MOST_LABELS, find_features, label_features
from app.preference.learning import Answers
from app.preference.measured import LEAST_TEST_LABELS, Evidence, Measured, Point, measure
from app.preference.queries import LabelledVectors
from app.selection.model.features import FeatureMap
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

    async def read(arms: tuple[str, ...], **limits: Any) -> Answers | None:
        parts = queries.stream_labels(
            session, project.id, dimensions, arms=arms, side=True, **limits
        )
        answers = [await asyncio.to_thread(_answers, feature_map, part) async for part in parts]
        return Answers.join(answers) if answers else None

    test = await read(("exploration",), handed_out=True, most=MOST_TEST_LABELS)
    if test is None or len(test) < LEAST_TEST_LABELS:
        return Evidence(training=None, test=test)
    training = await read(("strategy", "imported"), earliest=True, most=MOST_LABELS)
    return Evidence(
        training,
        test,
        is_cut_off=training is not None and len(training) >= MOST_LABELS,
        mean_cost=await queries.mean_cost(session, project.id),
    )


def _answers(feature_map: FeatureMap, labels: LabelledVectors) -> Answers:
    features = label_features(feature_map, labels)
    return Answers(
        differences=np.asarray(features[:, 0] - features[:, 1], dtype=np.float64),
        targets=labels.targets,
        weights=labels.weights,
        groups=labels.groups,
        pairs=labels.pair_ids,
    )
