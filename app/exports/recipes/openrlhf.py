"""Preference pairs as OpenRLHF reads them, for its DPO and reward-model trainers.

One row a pair: ``prompt``, ``chosen``, ``rejected`` (``--prompt_key``, ``--chosen_key``,
``--rejected_key``; lists of messages for ``--apply_chat_template``) and ``margin`` m of
−log σ(r(x, y_w) − r(x, y_l) − m), by the same rule as in ``reward``.
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import (
    PLAIN_PAIR,
    Column,
    ColumnType,
    Layout,
    Need,
    PairRecipe,
    Row,
    plain_pair,
)


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    yield plain_pair(preferred, layout) | {"margin": preferred.margin}


RECIPE = PairRecipe(
    name="openrlhf",
    description="Preference pairs for OpenRLHF",
    columns=(*PLAIN_PAIR, Column("margin", ColumnType.NUMBER)),
    rows=_rows,
    needs=frozenset({Need.MARGIN}),
)
