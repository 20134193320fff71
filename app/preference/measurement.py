"""A curve as it is measured: its points, and the law by which it grows. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.preference.answers import Answers
from app.preference.growth import LEAST_POINTS, Growth, fit_growth
from app.preference.learning import Learning, learn, majorities, without_groups

LEAST_TEST_LABELS: Final = 200
_LEVEL: Final = (2.5, 97.5)
_SEED: Final = 20_240_917


@dataclass(frozen=True, slots=True)
class Evidence:
    """The labels that a curve is measured on."""

    training: Answers | None
    """In the order in which they came; None where there are too few test labels to look."""
    test: Answers | None
    """The exploration labels; None where there are none."""
    is_cut_off: bool = False
    """There are more labels to train on than were read."""
    mean_cost: float | None = None
    """What a label cost, in the budget's unit; None: none has cost anything."""


@dataclass(frozen=True, slots=True)
class Point:
    """How well the model that the first ``labels`` labels teach does on the exploration labels."""

    labels: int
    accuracy: float
    low: float
    """The 95% interval of the accuracy: from here ..."""
    high: float
    """... to here."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A curve without advice, which depends on the project's budget as it is now."""

    points: tuple[Point, ...]
    growth: Growth | None
    """None where there are too few points for a law."""
    test_labels: int
    """Exploration labels with a preference: a tie has no right answer."""
    training_labels: int
    is_cut_off: bool
    mean_cost: float | None


def measure(evidence: Evidence) -> Measured:
    """Train and test; the same evidence gives the same."""
    training, test = evidence.training, evidence.test
    test_labels = 0 if test is None else int((test.targets != 0.5).sum())
    learning = None
    if training is not None and test is not None and test_labels >= LEAST_TEST_LABELS:
        training = without_groups(training, test.groups)
        decided = majorities(test)
        if len(decided):
            learning = learn(training, decided, np.random.default_rng(_SEED))
    return Measured(
        points=() if learning is None else _points(learning),
        growth=_growth(learning),
        test_labels=test_labels,
        training_labels=0 if training is None else len(training),
        is_cut_off=evidence.is_cut_off,
        mean_cost=evidence.mean_cost,
    )


def _points(learning: Learning) -> tuple[Point, ...]:
    lows, highs = np.percentile(learning.tested, _LEVEL, axis=0)
    return tuple(
        Point(int(labels), float(mean), min(float(low), float(mean)), max(float(high), float(mean)))
        for labels, mean, low, high in zip(
            learning.labels, learning.accuracy, lows, highs, strict=True
        )
    )


def _growth(learning: Learning | None) -> Growth | None:
    if learning is None or len(learning.labels) < LEAST_POINTS:
        return None
    return fit_growth(learning)
