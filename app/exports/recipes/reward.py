"""Preference pairs with a margin, for reward models.

One row a pair: ``dpo`` and ``margin`` m ≥ 0, for −log σ(r(x, y_w) − r(x, y_l) − m)
(Llama 2, arXiv 2307.09288, equation 2). Trainer: TRL's RewardTrainer. The margin is the mean
strength of the labels that agree if every row of the file has one, else max(0, r_w − r_l) of the
fitted rewards; never mixed within a file.
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
    yield plain_pair(preferred, layout) | {"margin": preferred.margin}


RECIPE = PairRecipe(
    name="reward",
    description="Preference pairs with a margin, for reward models",
    columns=PLAIN_PAIR | {"margin": ColumnType.NUMBER},
    rows=_rows,
    tools=Tools.IN_MESSAGES,
    needs=frozenset({Need.MARGIN}),
)
