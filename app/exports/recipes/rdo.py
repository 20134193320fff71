"""Weighted preference pairs: Reward Difference Optimization (arXiv 2408.09385).

One row a pair: ``dpo`` with the fitted rewards of both, and ``weight`` = σ(r_w − r_l), scaled so
that its mean over the file is 1: always positive, and larger where the difference is. For
−weight · log σ(β log π(y_w|x)/π_ref(y_w|x) − β log π(y_l|x)/π_ref(y_l|x)), or the weighted form of
any other pair loss.
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


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    yield plain_pair(preferred, layout) | {
        "reward_chosen": preferred.reward_chosen,
        "reward_rejected": preferred.reward_rejected,
        "weight": preferred.unscaled_weight / preferred.mean_weight,
    }


RECIPE = PairRecipe(
    name="rdo",
    description="Preference pairs weighted by the difference of their rewards",
    columns={
        **PLAIN_PAIR,
        "reward_chosen": ColumnType.NUMBER,
        "reward_rejected": ColumnType.NUMBER,
        "weight": ColumnType.NUMBER,
    },
    rows=_rows,
    tools=Tools.IN_MESSAGES,
    needs=frozenset({Need.REWARDS, Need.MEAN_WEIGHT}),
)
