"""Measure the label-efficiency curve: its points, and the laws for its forecast. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.preference.answers import Answers
from app.preference.growth import LEAST_POINTS, GrowthLaws, fit_growth
from app.preference.learning_curve import (
    LearningCurve,
    majorities,
    measure_learning_curve,
    without_groups,
)

LEAST_TEST_LABELS: Final = 200
_LEVEL: Final = (2.5, 97.5)
_SEED: Final = 20_240_917


@dataclass(frozen=True, slots=True)
class Evidence:
    """The labels that a curve is measured on."""

    training: Answers | None
    """In the order in which they came; None if there are none, or too few test labels."""
    test: Answers | None
    """The exploration labels; None if there are none."""
    is_cut_off: bool = False
    """Whether there are more training labels than were read."""
    mean_cost: float | None = None
    """What a label cost on average, in the budget's unit; None: nothing was spent."""


@dataclass(frozen=True, slots=True)
class Point:
    """The accuracy of a model that is trained on the first ``labels`` labels."""

    labels: int
    accuracy: float
    low: float
    """The 95% interval of the accuracy: from here ..."""
    high: float
    """... to here."""
    log_loss: float | None = None
    """How unlikely the model finds the test labels, in nats a label; None for a forecast."""


@dataclass(frozen=True, slots=True)
class CurveMeasurement:
    """A measured curve, without advice: that depends on the current budget."""

    points: tuple[Point, ...]
    growth: GrowthLaws | None
    """None if there are too few points."""
    test_labels: int
    """Exploration labels with a preference: a tie has no right answer."""
    training_labels: int
    is_cut_off: bool
    mean_cost: float | None


def measure_curve(evidence: Evidence) -> CurveMeasurement:
    """Train and test; the same evidence gives the same result."""
    training, test = evidence.training, evidence.test
    test_labels = 0 if test is None else int((test.targets != 0.5).sum())
    curve = None
    if training is not None and test is not None and test_labels >= LEAST_TEST_LABELS:
        training = without_groups(training, test.groups)
        decided = majorities(test)
        if len(decided):
            rng = np.random.default_rng(_SEED)
            curve = measure_learning_curve(training, decided, rng, said=test)
    return CurveMeasurement(
        points=() if curve is None else _points(curve),
        growth=_growth(curve),
        test_labels=test_labels,
        training_labels=0 if training is None else len(training),
        is_cut_off=evidence.is_cut_off,
        mean_cost=evidence.mean_cost,
    )


def _points(curve: LearningCurve) -> tuple[Point, ...]:
    lows, highs = np.percentile(curve.tested, _LEVEL, axis=0)
    return tuple(
        Point(
            int(labels),
            float(mean),
            min(float(low), float(mean)),
            max(float(high), float(mean)),
            float(log_loss),
        )
        for labels, mean, low, high, log_loss in zip(
            curve.labels, curve.accuracy, lows, highs, curve.log_loss, strict=True
        )
    )


def _growth(curve: LearningCurve | None) -> GrowthLaws | None:
    if curve is None or len(curve.labels) < LEAST_POINTS:
        return None
    return fit_growth(curve)
