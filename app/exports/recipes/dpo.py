"""Plain preference pairs: DPO (arXiv 2305.18290) and every loss that takes the same rows.

One row a pair: ``prompt`` x, ``chosen`` y_w, ``rejected`` y_l, for
−log σ(β log π(y_w|x)/π_ref(y_w|x) − β log π(y_l|x)/π_ref(y_l|x)).
Trainers: TRL's DPOTrainer and its other losses, its CPOTrainer (CPO, SimPO) and ORPOTrainer; and
Adaptive Preference Scaling (arXiv 2406.02764) and SPO (arXiv 2409.17791), which take plain pairs
too: ``annotation-budget train``.
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import PLAIN_PAIR, Layout, PairRecipe, Row, Tools, plain_pair


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    yield plain_pair(preferred, layout)


RECIPE = PairRecipe(
    name="dpo",
    description="Preference pairs for DPO and all losses of plain pairs",
    columns=PLAIN_PAIR,
    rows=_rows,
    tools=Tools.IN_MESSAGES,
)
