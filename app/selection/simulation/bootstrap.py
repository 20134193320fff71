"""Bootstrap intervals over prompts and splits together.

A replicate weighs every prompt of the file by a draw with replacement, and every split by another,
the same for all arms. So what two arms have in common does not widen the interval of their
difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.selection.arrays import BoolArray, Float64Array, IntArray
from app.selection.simulation.measures import Measure, Trace

REPLICATES = 1000
_LEVEL = 95.0
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Replicates:
    """The weights of the replicates; the first are those of the data themselves."""

    splits: Float64Array
    """``(1 + replicates, splits)``."""
    prompts: Float64Array
    """``(1 + replicates, prompts)``."""

    @classmethod
    def draw(cls, splits: int, prompts: int, seed: int) -> "Replicates":
        """The same weights for the same numbers and seed."""
        rng = np.random.default_rng([seed, splits, prompts])

        def drawn(count: int) -> Float64Array:
            rows = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
            return np.concatenate([np.ones((1, count)), rows])

        return cls(drawn(splits), drawn(prompts))

    def values(self, traces: Sequence[Trace], measure: Measure) -> Float64Array | None:
        """The measure at each budget: ``(1 + replicates, budgets)``; None: it was never taken.

        ``traces`` are of one arm, in the order of the splits. In a small file, a replicate may hold
        none of the prompts that were tested on: it is left out, of all arms alike.
        """
        sums = self._over_splits([(each.held_out, each.sums[measure]) for each in traces])
        counts = self._over_splits([(each.held_out, each.counts[measure][None]) for each in traces])
        if not counts[0].any():
            return None
        is_taken = counts[:, 0] > 0
        return np.asarray(sums[is_taken] / counts[is_taken])

    def _over_splits(self, rows: Sequence[tuple[IntArray, Float64Array]]) -> Float64Array:
        parts = [self.prompts[:, held_out] @ values.T for held_out, values in rows]
        return np.asarray(np.einsum("rs,srb->rb", self.splits, np.stack(parts)))


def estimate(column: Float64Array) -> Estimate:
    """The first value, with the percentile interval of the others."""
    edge = (100 - _LEVEL) / 2
    low, high = np.percentile(column[1:], (edge, 100 - edge))
    return Estimate(float(column[0]), float(low), float(high))


def estimates(values: Float64Array) -> tuple[Estimate, ...]:
    """One of each column of ``(1 + replicates, budgets)``, each on its own."""
    return tuple(estimate(column) for column in values.T)


def together(values: Float64Array, counted: BoolArray) -> tuple[Estimate, ...]:
    """Intervals that hold for all counted columns at once, in 95 of 100 cases.

    Their half-width is the same number of standard errors everywhere: the 95th percentile of the
    greatest deviation, in standard errors, over the counted columns (a sup-t band, Montiel Olea and
    Plagborg-Møller 2019).

    Args:
        values: ``(1 + replicates, budgets)``.
        counted: which columns are looked at together, ``(budgets,)``.
    """
    errors = np.std(values[1:], axis=0)
    deviations = np.abs(values[1:] - values[1:].mean(axis=0)) / np.maximum(errors, _TINY)
    width = float(np.percentile(deviations[:, counted].max(axis=1), _LEVEL))
    return tuple(
        Estimate(float(mean), float(mean - width * error), float(mean + width * error))
        for mean, error in zip(values[0], errors, strict=True)
    )
