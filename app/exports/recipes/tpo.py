"""Triples, an edit above both responses: Triple Preference Optimization (arXiv 2405.16681).

One row a pair with an annotator's edit of the preferred response: ``reference`` is the edit, better
than ``chosen``, which is better than ``rejected``. The edit is the first by somebody whose label
agrees with the row; an empty one, and one that says what either response says, gives no row.
Prompts with tools or tool calls are left out: an edit is a text alone.
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
    plain_pair,
    text_turns,
)


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    if preferred.improved is not None:
        yield plain_pair(preferred, layout) | {"reference": text_turns(preferred.improved, layout)}


RECIPE = PairRecipe(
    name="tpo",
    description="Triples of an annotator's edit, the preferred response and the other, for TPO",
    columns={**PLAIN_PAIR, "reference": ColumnType.TURNS},
    rows=_rows,
    needs=frozenset({Need.EDITS}),
)
