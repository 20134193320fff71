"""Rewards of responses: what the preference model predicts, corrected by their own labels. Pure.

P(y_i preferred to y_j) = σ(r_i − r_j) (R. A. Bradley and M. E. Terry, 1952), with a Gaussian prior
on each r around the mean that the preference model gives it: the mode of the posterior, by Newton's
method. A tie counts as half a label each way, the strength of a label is its weight.
"""

from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.selection.arrays import Float64Array, FloatArray, IntArray
from app.selection.model.posterior import sigmoid

PRECISION: Final = 2.0
"""The precision of the prior around the model's mean; measured, see docs/decisions/0007."""
_NEWTON_STEPS: Final = 30
_SOLVER_STEPS: Final = 200
_SETTLED: Final = 1e-8
DIGITS: Final = 4
"""Rewards are rounded, so that rounding errors of different machines do not show."""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The labels of some prompts that compare two responses, and the responses they compare.

    A prompt has all of its labels here, so the prompts can be fitted by themselves.
    """

    prompt_ids: IntArray
    """The prompt of each response, ascending: ``(responses,)``."""
    response_ids: IntArray
    """``(responses,)``."""
    responses: FloatArray
    """Unit vectors: ``(responses, dimensions)``."""
    prompts: FloatArray
    """The unit vector of each response's prompt: ``(responses, dimensions)``."""
    first: IntArray
    """The index of each label's first response among the responses: ``(labels,)``."""
    second: IntArray
    """The index of its second response: ``(labels,)``."""
    share: Float64Array
    """1 where the first is preferred, 0 where the second, ½ for a tie: ``(labels,)``."""
    weight: Float64Array
    """Strengths, 1 where none was given: ``(labels,)``."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """Standardised rewards of the responses that labels compare, ``(responses,)``, by prompt."""

    prompt_ids: IntArray
    """The prompt of each response, ascending."""
    response_ids: IntArray
    values: Float64Array

    def __len__(self) -> int:
        return len(self.values)

    def of(self, prompt_id: int) -> dict[int, float]:
        """The rewards of those of a prompt's responses that labels compare, by id."""
        start, end = np.searchsorted(self.prompt_ids, (prompt_id, prompt_id + 1)).tolist()
        ids, values = self.response_ids[start:end].tolist(), self.values[start:end].tolist()
        return dict(zip(ids, values, strict=True))

    def prompts_by_best(self) -> IntArray:
        """The prompts, by the reward of their best response, lowest first; ties by id."""
        prompts, starts = np.unique(self.prompt_ids, return_index=True)
        best = np.maximum.reduceat(self.values, starts) if len(starts) else self.values
        return prompts[np.argsort(best, kind="stable")]


class FoundRewards:
    """Collects rewards in ascending order of prompts: three numbers a response."""

    def __init__(self) -> None:
        self._prompt_ids = array("q")
        self._response_ids = array("q")
        self._values = array("d")

    def add(self, comparisons: Comparisons, values: Float64Array) -> None:
        """Add the rewards of some more prompts: ``(responses,)``."""
        self._prompt_ids.frombytes(comparisons.prompt_ids.tobytes())
        self._response_ids.frombytes(comparisons.response_ids.tobytes())
        self._values.frombytes(values.tobytes())

    def standardised(self) -> Rewards:
        """All rewards, with mean 0 and standard deviation 1, rounded. They are changed in place."""
        values: Float64Array = np.frombuffer(self._values, dtype=np.float64)
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
    comparisons: Comparisons, prior_mean: Float64Array, precision: float = PRECISION
) -> Float64Array:
    """The rewards, ``(responses,)``, given ``prior_mean``, the rewards expected without the labels.

    Each Newton step is solved by conjugate gradients, which need no matrix in memory.
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
    curvature: Float64Array,
    gradient: Float64Array,
    precision: float,
) -> Float64Array:
    """``H x = gradient`` for H = precision · I + Σ curvature · (e_i − e_j)(e_i − e_j)ᵀ."""
    size = len(gradient)

    def times(vector: Float64Array) -> Float64Array:
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
