"""Rewards of responses: what the preference model says of them, moved by their own labels. Pure.

P(y_i preferred to y_j) = σ(r_i − r_j) (R. A. Bradley and M. E. Terry, 1952), with a Gaussian prior
on each r around the mean that the preference model gives it: the mode of the posterior, by Newton's
method. A tie counts as half a label each way, the strength of a label is its weight.
"""

from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.exports.votes import FloatArray, IntArray
from app.selection.arrays import FloatArray as Vectors
from app.selection.model.posterior import sigmoid

PRECISION: Final = 2.0
"""Of the prior around the model's mean; measured, see docs/decisions/0007."""
_NEWTON_STEPS: Final = 30
_SOLVER_STEPS: Final = 200
_SETTLED: Final = 1e-8
DIGITS: Final = 4
"""Rewards are rounded, so that the last digits of one machine or another do not show."""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The labels of some prompts that compare two responses, and the responses they compare.

    All such labels of those prompts are there, so they can be fitted by themselves.
    """

    prompt_ids: IntArray
    """The prompt of each response, rising: ``(responses,)``."""
    response_ids: IntArray
    """``(responses,)``."""
    responses: Vectors
    """Unit vectors: ``(responses, dimensions)``."""
    prompts: Vectors
    """The unit vector of each response's prompt: ``(responses, dimensions)``."""
    first: IntArray
    """The place of each label's first response among the responses: ``(labels,)``."""
    second: IntArray
    """The same of its second response."""
    share: FloatArray
    """1 where the first is preferred, 0 where the second, ½ for a tie: ``(labels,)``."""
    weight: FloatArray
    """Strengths, 1 where none was given: ``(labels,)``."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """Standardised rewards of the responses that labels compare, ``(responses,)``, by prompt."""

    prompt_ids: IntArray
    """The prompt of each response, rising."""
    response_ids: IntArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.values)

    def of(self, prompt_id: int) -> dict[int, float]:
        """The rewards of a prompt's responses by number: of those that labels compare."""
        start, end = np.searchsorted(self.prompt_ids, (prompt_id, prompt_id + 1)).tolist()
        ids, values = self.response_ids[start:end].tolist(), self.values[start:end].tolist()
        return dict(zip(ids, values, strict=True))

    def prompts_by_best(self) -> IntArray:
        """The prompts, by the reward of their best response, lowest first; ties by number."""
        prompts, starts = np.unique(self.prompt_ids, return_index=True)
        best = np.maximum.reduceat(self.values, starts) if len(starts) else self.values
        return prompts[np.argsort(best, kind="stable")]


class FoundRewards:
    """Rewards as they are found, prompts rising: three numbers of each response are kept."""

    def __init__(self) -> None:
        self._prompt_ids = array("q")
        self._response_ids = array("q")
        self._values = array("d")

    def add(self, comparisons: Comparisons, values: FloatArray) -> None:
        """Those of some more prompts: ``(responses,)``."""
        self._prompt_ids.frombytes(comparisons.prompt_ids.tobytes())
        self._response_ids.frombytes(comparisons.response_ids.tobytes())
        self._values.frombytes(values.tobytes())

    def standardised(self) -> Rewards:
        """All of them, with mean 0 and standard deviation 1, rounded; in place."""
        values: FloatArray = np.frombuffer(self._values, dtype=np.float64)
        if len(values):
            values -= values.mean()
            spread = values.std()
            values /= spread if spread > _SETTLED else 1.0
            np.round(values, DIGITS, out=values)
            values += 0.0  # no reward is -0.0
        return Rewards(
            np.frombuffer(self._prompt_ids, dtype=np.int64),
            np.frombuffer(self._response_ids, dtype=np.int64),
            values,
        )


def posterior_mode(
    comparisons: Comparisons, prior_mean: FloatArray, precision: float = PRECISION
) -> FloatArray:
    """The rewards, ``(responses,)``; ``prior_mean`` is what is expected of each without its labels.

    Each step of Newton's is solved by conjugate gradients, which never write the matrix down.
    """
    first, second, weight = comparisons.first, comparisons.second, comparisons.weight
    responses = len(prior_mean)
    rewards = np.array(prior_mean)
    for _ in range(_NEWTON_STEPS):
        chance = sigmoid(rewards[first] - rewards[second])
        slope = weight * (comparisons.share - chance)
        gradient = (
            np.bincount(first, weights=slope, minlength=responses)
            - np.bincount(second, weights=slope, minlength=responses)
            - precision * (rewards - prior_mean)
        )
        step = _solve(first, second, weight * chance * (1 - chance), gradient, precision)
        rewards += step
        if np.abs(step).max(initial=0.0) < _SETTLED:
            break
    return rewards


def _solve(
    first: IntArray,
    second: IntArray,
    curvature: FloatArray,
    gradient: FloatArray,
    precision: float,
) -> FloatArray:
    """``H x = gradient`` for H = precision · I + Σ curvature · (e_i − e_j)(e_i − e_j)ᵀ."""
    size = len(gradient)

    def times(vector: FloatArray) -> FloatArray:
        flow = curvature * (vector[first] - vector[second])
        return (
            precision * vector
            + np.bincount(first, weights=flow, minlength=size)
            - np.bincount(second, weights=flow, minlength=size)
        )

    solution = np.zeros(size)
    residual = gradient.copy()
    direction = residual.copy()
    length = float(residual @ residual)
    for _ in range(_SOLVER_STEPS):
        if length < _SETTLED**2:
            break
        image = times(direction)
        stride = length / float(direction @ image)
        solution += stride * direction
        residual -= stride * image
        length, before = float(residual @ residual), length
        direction = residual + (length / before) * direction
    return solution
