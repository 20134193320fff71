"""Rewards of responses: a Bradley-Terry model, fitted afresh from the labels. Pure.

P(y_i preferred to y_j) = σ(r_i − r_j) (R. A. Bradley and M. E. Terry, 1952), with a Gaussian prior
of mean 0 and variance 1 on each r: the mode of the posterior, by Newton's method. A tie counts as
half a label each way, the strength of a label is its weight.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.exports.votes import FloatArray, IntArray, Votes

_PRECISION: Final = 1.0
_NEWTON_STEPS: Final = 30
_SOLVER_STEPS: Final = 200
_SETTLED: Final = 1e-8
_DIGITS: Final = 6
"""Rewards are rounded, so that the same labels give the same bytes on any machine."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """Standardised rewards of the responses that have labels, ``(responses,)``."""

    response_ids: IntArray
    """Rising."""
    prompt_ids: IntArray
    """The prompt of each response."""
    values: FloatArray

    def __len__(self) -> int:
        return len(self.response_ids)

    def has(self, response_id: int) -> bool:
        """Whether labels compare that response."""
        return self._place(response_id) is not None

    def of(self, response_id: int) -> float:
        """The reward of one response; the mean of all, which is 0, where no label compares it."""
        place = self._place(response_id)
        return 0.0 if place is None else float(self.values[place])

    def _place(self, response_id: int) -> int | None:
        place = int(np.searchsorted(self.response_ids, response_id))
        is_there = place < len(self.response_ids) and self.response_ids[place] == response_id
        return place if is_there else None

    def prompts_by_best(self) -> IntArray:
        """The prompts, by the reward of their best response, lowest first; ties by number."""
        best_first = np.lexsort((-self.values, self.prompt_ids))
        prompts, places = np.unique(self.prompt_ids[best_first], return_index=True)
        best = self.values[best_first][places]
        return prompts[np.lexsort((prompts, best))]


def fit_rewards(votes: Votes) -> Rewards:
    """The rewards of all responses that labels compare: mean 0, standard deviation 1."""
    both = np.concatenate([votes.first_ids, votes.second_ids])
    response_ids, places, inverse = np.unique(both, return_index=True, return_inverse=True)
    prompt_ids = np.concatenate([votes.prompt_ids, votes.prompt_ids])[places]
    first, second = inverse[: len(votes)], inverse[len(votes) :]
    share = (votes.side + 1) / 2
    rewards = _posterior_mode(first, second, share, votes.weight, len(response_ids))
    spread = float(rewards.std()) if len(rewards) else 0.0
    if spread > 0:
        rewards = (rewards - rewards.mean()) / spread
    return Rewards(response_ids, prompt_ids, np.round(rewards, _DIGITS) + 0.0)


def _posterior_mode(
    first: IntArray, second: IntArray, share: FloatArray, weight: FloatArray, responses: int
) -> FloatArray:
    """Newton's steps; each solved by conjugate gradients, which never write the matrix down."""
    rewards = np.zeros(responses)
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(rewards[second] - rewards[first]))
        slope = weight * (share - chance)
        gradient = (
            np.bincount(first, weights=slope, minlength=responses)
            - np.bincount(second, weights=slope, minlength=responses)
            - _PRECISION * rewards
        )
        step = _solve(first, second, weight * chance * (1 - chance), gradient)
        rewards += step
        if np.abs(step).max(initial=0.0) < _SETTLED:
            break
    return rewards


def _solve(
    first: IntArray, second: IntArray, curvature: FloatArray, gradient: FloatArray
) -> FloatArray:
    """``H x = gradient`` for H = precision · I + Σ curvature · (e_i − e_j)(e_i − e_j)ᵀ."""
    size = len(gradient)

    def times(vector: FloatArray) -> FloatArray:
        flow = curvature * (vector[first] - vector[second])
        return (
            _PRECISION * vector
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
