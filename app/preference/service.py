"""What other rooms ask of the preference model: fit it, measure its curve, count words.

The curve shows what the labels of a live project have taught so far. The model is trained on the
strategy's labels and those made elsewhere, in the order in which they came, and tested on the
exploration labels: their pairs were drawn at random, and no label on a prompt of the same group is
trained on.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import UnknownProject
from app.preference import queries
from app.preference.advice import Budget, advise, forecast_points
from app.preference.features import MAX_LABELS, find_features, read_answers
from app.preference.measurement import (
    LEAST_TEST_LABELS,
    CurveMeasurement,
    Evidence,
    Point,
    measure_curve,
)
from app.selection.model.preference import PreferenceModel, fit_preferences
from app.storage.arm import Arm
from app.storage.tables import Project
from app.vectors.stored import prompt_vectors

MAX_TEST_LABELS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Curve:
    """A project's curve; without points while there are too few exploration labels."""

    points: tuple[Point, ...]
    """By ascending ``labels``."""
    advice: str
    """Whether it is worth going on, in plain words."""
    test_labels: int
    """The number of exploration labels that it is tested on."""
    fit: tuple[float, float, float] | None
    """a, b and c of the likeliest law, accuracy(n) = a - b / n^c; None with too few points."""
    forecast: tuple[Point, ...]
    """What the laws expect, from the last point to the end of the budget."""


async def fit_project(
    session: AsyncSession, project_id: int, dimensions: int, *, arms: Collection[str] = tuple(Arm)
) -> PreferenceModel | None:
    """The model that the project's labels of these arms teach; None while there are none.

    The same labels, prompts and vectors give the same model. Of the vectors, only those of the
    labelled prompts are kept.
    """
    feature_map = await find_features(session, project_id, dimensions, beside_vectors=True)
    if feature_map is None:
        return None
    answers = await read_answers(session, project_id, dimensions, feature_map, arms=arms)
    if answers is None:
        return None
    posterior = await asyncio.to_thread(
        fit_preferences,
        feature_map.feature_set,
        answers.differences,
        answers.targets,
        answers.groups,
        weights=answers.weights,
    )
    labelled = await prompt_vectors(session, answers.prompts, dimensions)
    return PreferenceModel(feature_map, posterior, len(answers), labelled.vectors)


async def count_response_words(
    session: AsyncSession, response_ids: Collection[int]
) -> dict[int, int]:
    """How many words each response has. Served by the primary key."""
    return await queries.count_response_words(session, response_ids)


async def read_curve(session: AsyncSession, project_id: int) -> Curve:
    """The curve of a project as its labels are now; computing it takes seconds with many labels.

    Raises:
        UnknownProject: it has been deleted.
    """
    project = await session.get(Project, project_id)
    if project is None:
        raise UnknownProject("the project has been deleted")
    evidence = await read_evidence(session, project)
    return curve_of(project, await asyncio.to_thread(measure_curve, evidence))


def curve_of(project: Project, measurement: CurveMeasurement) -> Curve:
    """A measured curve, with advice for the project's current budget."""
    budget = Budget(
        unit=project.unit,
        limit=None if project.budget_limit is None else float(project.budget_limit),
        spent=float(project.spent),
        exploration=project.exploration,
        counted_labels=project.counted_labels,
    )
    growth = measurement.growth
    return Curve(
        points=measurement.points,
        advice=advise(measurement, budget),
        test_labels=measurement.test_labels,
        fit=None if growth is None else growth.best,
        forecast=forecast_points(measurement, budget),
    )


async def read_evidence(session: AsyncSession, project: Project) -> Evidence:
    """The labels that a curve is measured on.

    At most ``MAX_TEST_LABELS`` exploration labels, a fair sample, and the earliest ``MAX_LABELS``
    others, from which a model of 128 weights learns all that it can.
    """
    dimensions = project.embedding_dimensions
    if dimensions is None:
        return Evidence(training=None, test=None)
    feature_map = await find_features(session, project.id, dimensions, beside_vectors=True)
    if feature_map is None:
        return Evidence(training=None, test=None)

    test = await read_answers(
        session,
        project.id,
        dimensions,
        feature_map,
        arms=(Arm.EXPLORATION,),
        handed_out=True,
        limit=MAX_TEST_LABELS,
    )
    if test is None or len(test) < LEAST_TEST_LABELS:
        return Evidence(training=None, test=test)
    training = await read_answers(
        session,
        project.id,
        dimensions,
        feature_map,
        arms=(Arm.STRATEGY, Arm.IMPORTED),
        earliest=True,
        limit=MAX_LABELS,
    )
    return Evidence(
        training,
        test,
        is_cut_off=training is not None and len(training) >= MAX_LABELS,
        mean_cost=await queries.mean_cost(session, project.id),
    )
