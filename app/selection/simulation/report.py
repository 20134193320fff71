"""From traces to a report: each measure with intervals, and how many labels each arm is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.selection.arrays import Float64Array
from app.selection.simulation.arms import AGAIN, BASELINE, PLAIN
from app.selection.simulation.bootstrap import Estimate, Replicates, estimate, estimates, together
from app.selection.simulation.measures import COMPARED, SIGN, Measure, Trace
from app.selection.simulation.ratio import LEAST_COMPARED, RisingCurve, log_times, log_times_at

_LEAST_ACCURACY = 0.51


@dataclass(frozen=True, slots=True)
class Times:
    """How many times the labels another arm needs for the same value; 1: as many."""

    estimate: Estimate
    is_cut_off: bool
    """The curves share less than half of their values, and lie further apart than this says."""


@dataclass(frozen=True, slots=True)
class MeasuredArm:
    """One measure of one arm."""

    values: tuple[Estimate, ...]
    """At each budget."""
    differences: tuple[Estimate, ...]
    """From ``random``. The intervals hold for all budgets of 50 labels and more at once."""
    times_at: tuple[Estimate, ...]
    """How many times the labels ``random`` needs for the value at each budget."""
    times: Times
    """The same over all budgets of 50 labels and more."""
    times_in_all: Times
    """The same of ``random`` with the model of the vectors alone: what the choice of pairs and the
    model bring together."""


@dataclass(frozen=True, slots=True)
class Report:
    """All arms on one file."""

    budgets: tuple[int, ...]
    arms: Mapping[str, Mapping[Measure, MeasuredArm]]
    """By name, ``random`` first; a measure that the file does not allow is left out."""
    timidity: Mapping[str, tuple[Estimate, ...]]
    """How much more often votes agree with the arm's model than it expects, at each budget."""
    smallest: Mapping[Measure, float]
    """The smallest effect that this many splits of this file can show, in times the labels: the
    half-width of the interval of ``random`` against itself."""
    informative: bool
    """``random`` learns something: the interval at its largest budget lies above 0.51."""


def make_report(
    traces: Mapping[str, Sequence[Trace]], budgets: Sequence[int], prompts: int, seed: int
) -> Report:
    """The report of all arms.

    Args:
        traces: of each arm, one a split, in the order of the splits; ``random``, the same again
            with other draws, and ``random`` with the model of the vectors alone among them.
        budgets: the budgets of the traces, rising.
        prompts: how many prompts the file has.
        seed: of the bootstrap.
    """
    replicates = Replicates.draw(len(traces[BASELINE]), prompts, seed)
    arms: dict[str, dict[Measure, MeasuredArm]] = {name: {} for name in traces}
    for measure in COMPARED:
        values = {name: replicates.values(rows, measure) for name, rows in traces.items()}
        known = {name: each for name, each in values.items() if each is not None}
        if BASELINE in known:
            for name, arm in _measured(known, SIGN[measure], budgets).items():
                arms[name][measure] = arm
    timidity = {
        name: estimates(found)
        for name, rows in traces.items()
        if (found := replicates.values(rows, Measure.TIMIDITY)) is not None
    }
    again = arms[AGAIN]
    return Report(
        budgets=tuple(budgets),
        arms=arms,
        timidity=timidity,
        smallest={measure: _half_width(arm.times.estimate) for measure, arm in again.items()},
        informative=arms[BASELINE][Measure.ACCURACY].values[-1].low > _LEAST_ACCURACY,
    )


def _measured(
    values: Mapping[str, Float64Array], sign: float, budgets: Sequence[int]
) -> dict[str, MeasuredArm]:
    sizes = np.asarray(budgets, dtype=np.float64)
    curves = {
        name: [RisingCurve(sizes, sign * row) for row in rows] for name, rows in values.items()
    }
    counted = (sizes >= LEAST_COMPARED) | (sizes == sizes[-1])
    return {
        name: MeasuredArm(
            values=estimates(rows),
            differences=together(rows - values[BASELINE], counted),
            times_at=_times_at(curves[name], curves[BASELINE]),
            times=_times(curves[name], curves[BASELINE]),
            times_in_all=_times(curves[name], curves[PLAIN]),
        )
        for name, rows in values.items()
    }


def _times(curves: Sequence[RisingCurve], baseline: Sequence[RisingCurve]) -> Times:
    found = [log_times(one, other) for one, other in zip(curves, baseline, strict=True)]
    logs = np.array([log for log, _ in found])
    return Times(estimate(np.exp(logs)), found[0][1])


def _times_at(
    curves: Sequence[RisingCurve], baseline: Sequence[RisingCurve]
) -> tuple[Estimate, ...]:
    logs = [log_times_at(one, other) for one, other in zip(curves, baseline, strict=True)]
    return estimates(np.exp(np.array(logs)))


def _half_width(times: Estimate) -> float:
    return float(np.sqrt(times.high / times.low))
