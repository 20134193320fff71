"""What a simulation measures of a model, on prompts that it has not learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.selection.arrays import Float64Array, IntArray


class Measure(StrEnum):
    """How well a model does on held-out prompts."""

    ACCURACY = "accuracy"
    """The share of the pairs with a majority that the model orders as it does."""
    LOG_LOSS = "log_loss"
    """-Σ share · log p over the votes, in nats a pair; a tie is half a vote each way."""
    GOLD = "gold"
    """Gold of the response that the model would pick, 0 (worst) … 1 (best of its prompt)."""
    TIMIDITY = "timidity"
    """How much more often the votes agree with the model than it expects: 0 is right, above 0 it is
    too timid, below 0 too sure."""


COMPARED = (Measure.ACCURACY, Measure.LOG_LOSS, Measure.GOLD)
"""The measures by which labels are compared."""
SIGN = {Measure.ACCURACY: 1.0, Measure.LOG_LOSS: -1.0, Measure.GOLD: 1.0}
"""Times this, more is better."""


@dataclass(frozen=True, slots=True)
class Trace:
    """How well the models of one arm did on the held-out prompts of one split."""

    held_out: IntArray
    """Indices into the world, ``(prompts,)``."""
    counts: Mapping[Measure, Float64Array]
    """How many pairs, or picks, each prompt has: ``(prompts,)``."""
    sums: Mapping[Measure, Float64Array]
    """The sums over them: ``(budgets, prompts)``."""


def means_of(traces: Sequence[Trace]) -> dict[Measure, list[float]]:
    """Each measure over all splits, at each budget; one that was never taken is left out."""
    counts = {each: sum(trace.counts[each].sum() for trace in traces) for each in Measure}
    sums = {each: sum(trace.sums[each].sum(axis=1) for trace in traces) for each in Measure}
    return {each: list(sums[each] / counts[each]) for each in Measure if counts[each]}
