"""The accuracy on exploration labels after training on the first n labels, for growing n. Pure.

Such a curve depends on two draws: of the prompts it is tested on, and of the labels it is trained
on. The first is bootstrapped as usual; the second is approximated by one Newton step from the
fitted weights (the infinitesimal jackknife, Jaeckel 1972; Giordano et al., *A Swiss Army
Infinitesimal Jackknife*, arXiv 1806.00550). Both draw groups of near-duplicate prompts, not labels.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.preference.answers import Answers, fit_answers
from app.selection.arrays import Float64Array, IntArray
from app.selection.model.posterior import (
    Posterior,
    calibrate,
    log_losses,
    preference_probability,
    sigmoid,
)

FIRST_POINT: Final = 50
REPLICATES: Final = 400


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Accuracies for growing numbers of labels."""

    labels: IntArray
    """``(points,)``, ascending."""
    accuracy: Float64Array
    """The share of test pairs that the model orders as their majority: ``(points,)``."""
    tested: Float64Array
    """The accuracy with other prompts drawn for the test: ``(replicates, points)``."""
    trained: Float64Array
    """How the accuracy would change with other training labels: ``(replicates, points)``."""
    log_loss: Float64Array
    """How unlikely the calibrated model finds the test labels, in nats a label: ``(points,)``."""


def sizes_of(labels: int) -> list[int]:
    """50, 100, 200, 400 … and all of them; none if there are fewer than 50."""
    if labels < FIRST_POINT:
        return []
    doubling = [FIRST_POINT]
    while doubling[-1] * 2 < labels:
        doubling.append(doubling[-1] * 2)
    return doubling if labels == FIRST_POINT else [*doubling, labels]


def without_groups(answers: Answers, groups: IntArray) -> Answers:
    """The labels on prompts of other groups."""
    return answers.select(~np.isin(answers.groups, groups))


def majorities(answers: Answers) -> Answers:
    """One answer a pair, oriented so that the majority prefers the first response.

    A pair without a majority (most often a tie) has no right answer, and is left out.
    """
    _, first, pair = np.unique(answers.pairs, return_index=True, return_inverse=True)
    votes = np.bincount(pair, weights=np.sign(answers.targets - 0.5), minlength=len(first))
    decided = np.flatnonzero(votes)
    one_each = first[decided]
    turned = np.asarray(answers.differences[one_each] * np.sign(votes[decided])[:, None])
    ones = np.ones(len(decided))
    return replace(answers.select(one_each), differences=turned, targets=ones, weights=ones)


def measure_learning_curve(
    training: Answers,
    test: Answers,
    rng: np.random.Generator,
    *,
    said: Answers | None = None,
) -> LearningCurve:
    """Train on the first 50, 100, 200 … and all labels, and test each model.

    Args:
        training: the strategy's labels and those made elsewhere, none of a group in ``test``.
        test: the majorities of one exploration pair or more.
        rng: draws the replicates.
        said: the exploration labels themselves, ties among them; None: ``test``.
    """
    sizes = sizes_of(len(training))
    of_test, of_training = _draws(test.groups, rng), _draws(training.groups, rng)
    accuracy, tested, trained, log_loss = [], [], [], []
    start: Float64Array | None = None
    for size in sizes:
        known = training.select(slice(size))
        fit = fit_answers(known, start)
        start = fit.mean
        right = _right(test.differences @ fit.mean)
        shares = _right(test.differences @ _moved(fit, known, of_training[:, :size])).mean(axis=0)
        accuracy.append(right.mean())
        tested.append(of_test @ right / of_test.sum(axis=1))
        trained.append(shares - shares.mean())
        log_loss.append(_log_loss(fit, known, test if said is None else said))
    return LearningCurve(
        np.array(sizes, dtype=np.int64),
        np.array(accuracy),
        np.stack(tested, axis=1) if sizes else np.empty((REPLICATES, 0)),
        np.stack(trained, axis=1) if sizes else np.empty((REPLICATES, 0)),
        np.array(log_loss),
    )


def _log_loss(fit: Posterior, known: Answers, said: Answers) -> float:
    model = calibrate(fit, known.differences, known.targets, known.groups, weights=known.weights)
    gaps = said.differences @ model.mean
    p = preference_probability(gaps, model.variances(said.differences))
    return float(log_losses(p, said.targets).mean())


def _right(gaps: Float64Array) -> Float64Array:
    """1 where the model agrees with the majority, ½ where it has no preference."""
    return np.asarray((np.sign(gaps) + 1) / 2)


def _draws(groups: IntArray, rng: np.random.Generator) -> Float64Array:
    """How often each label is drawn when groups are drawn with replacement:
    ``(replicates, labels)``.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max(initial=-1)) + 1
    if not count:
        return np.empty((REPLICATES, 0))
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
    return np.asarray(drawn[:, group], dtype=np.float64)


def _moved(fit: Posterior, known: Answers, draws: Float64Array) -> Float64Array:
    """The weights if each label had been drawn that often: ``(features, replicates)``."""
    slope = known.weights * (known.targets - sigmoid(known.differences @ fit.mean))
    pulls = (known.differences * slope[:, None]).T @ (draws - 1).T
    return np.asarray(fit.mean[:, None] + np.linalg.solve(fit.precision, pulls))
