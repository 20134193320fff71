"""From traces to curves: means with bootstrap intervals, and labels saved at equal accuracy.

The bootstrap is over prompts and splits together: a replicate weighs every prompt of the file by a
draw with replacement, and every split by another, the same for all strategies. So what strategies
have in common does not widen the interval of their difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import isotonic_regression

from app.selection.arrays import Float64Array, FloatArray
from app.selection.simulation.run import Trace

BASELINE = "random"
"""The strategy that the others are compared with."""
REPLICATES = 1000
LEAST_COMPARED = 50
"""Labels saved are taken from this many of random's labels on."""
_LEVEL = (2.5, 97.5)
_LEAST_ACCURACY = 0.51
_GRID = 60


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One strategy on one file: an estimate for each budget."""

    accuracy: tuple[Estimate, ...]
    difference: tuple[Estimate, ...]
    """From ``random``, at the same budget."""
    gold: tuple[Estimate, ...] | None
    """Gold of the response that would be picked, 0 (worst) … 1 (best) of its prompt."""
    labels_saved: Estimate | None
    """``1 − n_strategy / n_random`` at equal accuracy, over n_random from 50 to the largest budget;
    None where nothing is learnt, or for ``random`` itself."""
    saved_is_bounded: bool
    """Some accuracy of random's lies outside the strategy's curve: the figure is cut off there."""
    saved_in_all: Estimate | None
    """The same against ``random`` with the model of the vectors alone: by the choice of pairs and
    the model's other features together. None where that learns nothing."""
    saved_in_all_is_bounded: bool


@dataclass(frozen=True, slots=True)
class Report:
    """All strategies on one file."""

    budgets: tuple[int, ...]
    curves: Mapping[str, Curve]
    informative: bool
    """Random learns something: the interval at its largest budget lies above 0.51."""
    plain: tuple[Estimate, ...]
    """Accuracy of ``random`` with the model of the vectors alone, at each budget."""


def make_report(
    traces: Mapping[str, Sequence[Trace]],
    plain: Sequence[Trace],
    budgets: Sequence[int],
    prompts: int,
    seed: int,
) -> Report:
    """Curves of every strategy.

    Args:
        traces: of each strategy, one a split, in the order of the splits; ``random`` among them.
        plain: of ``random`` with the model of the vectors alone, in the same order.
        budgets: the budgets of the traces, rising.
        prompts: how many prompts the file has.
        seed: of the bootstrap.
    """
    splits = len(traces[BASELINE])
    weights = _Weights.draw(splits, prompts, np.random.default_rng([seed, splits, prompts]))
    accuracies = {name: weights.accuracies(rows) for name, rows in traces.items()}
    golds = {name: weights.golds(rows) for name, rows in traces.items()}
    base, plain_base = accuracies[BASELINE], weights.accuracies(plain)
    informative = _learns(base)
    is_compared = budgets[-1] > LEAST_COMPARED
    curves = {}
    for name, values in accuracies.items():
        gold = golds[name]
        saved, bounded = None, False
        if informative and name != BASELINE and is_compared:
            saved, bounded = _saved(values, base, budgets)
        in_all, in_all_bounded = None, False
        if _learns(plain_base) and is_compared:
            in_all, in_all_bounded = _saved(values, plain_base, budgets)
        curves[name] = Curve(
            accuracy=_estimates(values),
            difference=_estimates(values - base),
            gold=None if gold is None else _estimates(gold),
            labels_saved=saved,
            saved_is_bounded=bounded,
            saved_in_all=in_all,
            saved_in_all_is_bounded=in_all_bounded,
        )
    return Report(tuple(budgets), curves, informative, _estimates(plain_base))


@dataclass(frozen=True, slots=True)
class _Weights:
    """Bootstrap weights; the first replicate is the data themselves."""

    splits: Float64Array
    """``(1 + replicates, splits)``."""
    prompts: Float64Array
    """``(1 + replicates, prompts)``."""

    @classmethod
    def draw(cls, splits: int, prompts: int, rng: np.random.Generator) -> "_Weights":
        def drawn(count: int) -> Float64Array:
            rows = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
            return np.concatenate([np.ones((1, count)), rows])

        return cls(drawn(splits), drawn(prompts))

    def accuracies(self, traces: Sequence[Trace]) -> Float64Array:
        """Pairs ordered rightly over all pairs: ``(1 + replicates, budgets)``."""
        right = [self._per_split(trace, trace.correct) for trace in traces]
        total = [
            self._per_split(trace, np.asarray(trace.pairs, dtype=np.float64)[None, :])
            for trace in traces
        ]
        return self._over_splits(right) / self._over_splits(total)

    def golds(self, traces: Sequence[Trace]) -> Float64Array | None:
        """Mean gold of the picked responses: ``(1 + replicates, budgets)``; None: there is none."""
        known = [~np.isnan(trace.gold) for trace in traces]
        if not any(each.any() for each in known):
            return None
        sums = [
            self._per_split(trace, np.where(np.isnan(trace.gold), 0.0, trace.gold))
            for trace in traces
        ]
        counts = [
            self._per_split(trace, each.astype(np.float64))
            for trace, each in zip(traces, known, strict=True)
        ]
        total, count = self._over_splits(sums), self._over_splits(counts)
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    def _per_split(self, trace: Trace, values: FloatArray) -> Float64Array:
        """Weighted sums over the held-out prompts: ``(1 + replicates, budgets)``."""
        rows = np.asarray(values, dtype=np.float64)
        return np.asarray(self.prompts[:, trace.held_out] @ rows.T)

    def _over_splits(self, parts: Sequence[Float64Array]) -> Float64Array:
        return np.asarray(np.einsum("rs,srb->rb", self.splits, np.stack(parts)))


def _estimates(values: Float64Array) -> tuple[Estimate, ...]:
    return tuple(_estimate(column) for column in values.T)


def _estimate(column: Float64Array) -> Estimate:
    low, high = np.nanpercentile(column[1:], _LEVEL)
    return Estimate(float(column[0]), float(low), float(high))


def _learns(accuracies: Float64Array) -> bool:
    return _estimate(accuracies[:, -1]).low > _LEAST_ACCURACY


def _saved(
    values: Float64Array, base: Float64Array, budgets: Sequence[int]
) -> tuple[Estimate, bool]:
    sizes = np.asarray(budgets, dtype=np.float64)
    rows = [labels_saved(sizes, row, other) for row, other in zip(values, base, strict=True)]
    return _estimate(np.array([saved for saved, _ in rows])), rows[0][1]


def labels_saved(
    budgets: Float64Array, strategy: Float64Array, baseline: Float64Array
) -> tuple[float, bool]:
    """The mean of ``1 − n_strategy / n_baseline`` at equal accuracy, and whether it was cut off.

    Both curves are made rising (isotonic regression) and joined by straight lines over the
    logarithm of the budget. n_baseline runs evenly over that logarithm, from ``LEAST_COMPARED`` to
    the largest budget. An accuracy that the strategy has from its first budget on counts as reached
    there; one that it never reaches as reached at the largest budget, where it is cut off.
    """
    log_budgets = np.log(budgets)
    mine = np.asarray(isotonic_regression(strategy), dtype=np.float64)
    theirs = np.asarray(isotonic_regression(baseline), dtype=np.float64)
    wanted = np.linspace(np.log(LEAST_COMPARED), log_budgets[-1], _GRID)
    accuracy = np.interp(wanted, log_budgets, theirs)
    reached = np.array([_first_reach(log_budgets, mine, level) for level in accuracy])
    is_cut_off = bool((accuracy > mine[-1]).any() or (accuracy < mine[0]).any())
    return float((1 - np.exp(reached - wanted)).mean()), is_cut_off


def _first_reach(log_budgets: Float64Array, curve: Float64Array, level: float) -> float:
    """Where a rising curve first reaches a level; its last place where it never does."""
    after = int(np.searchsorted(curve, level, side="left"))
    if after == 0:
        return float(log_budgets[0])
    if after == len(curve):
        return float(log_budgets[-1])
    low, high = curve[after - 1], curve[after]
    before, at = log_budgets[after - 1], log_budgets[after]
    return float(before + (at - before) * (level - low) / (high - low))
