"""Preference pairs with the gap of their rewards: OPTune's weighted DPO (arXiv 2406.07657).

One row a pair: ``dpo`` and ``reward_gap`` = r_w − r_l, for
−σ(reward_gap) · log σ(β log π(y_w|x)/π_ref(y_w|x) − β log π(y_l|x)/π_ref(y_l|x)):
pairs of like utility weigh less. The gap is negative where the fitted rewards, which see all labels
of the prompt together, put the pair the other way round than its own labels do.
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import (
    PLAIN_PAIR,
    ColumnType,
    Layout,
    Need,
    PairRecipe,
    Row,
    Tools,
    plain_pair,
)
from app.exports.rewards import DIGITS


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    gap = preferred.reward_chosen - preferred.reward_rejected
    yield plain_pair(preferred, layout) | {"reward_gap": round(gap, DIGITS)}


RECIPE = PairRecipe(
    name="optune",
    description="Preference pairs with the gap of their rewards, for OPTune",
    columns=PLAIN_PAIR | {"reward_gap": ColumnType.NUMBER},
    rows=_rows,
    tools=Tools.IN_MESSAGES,
    needs=frozenset({Need.REWARDS}),
)
