"""Preference pairs with the reference policy's response: SELM (arXiv 2405.19332).

One row a pair whose prompt has a reference response: ``dpo`` and ``reference_response`` y_ref. Each
round ranks {y_ref, y_w, y_l} again, and trains on
−log σ(β log π(y_w|x)/π_ref(y_w|x) − β log π(y_l|x)/π_ref(y_l|x))
+ α β log π(y_ref|x)/π_ref(y_ref|x): away from what the reference policy would say anyway.
Prompts with tools or tool calls are left out.
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
    reference = preferred.pair.reference
    if reference is not None:
        yield plain_pair(preferred, layout) | {"reference_response": text_turns(reference, layout)}


RECIPE = PairRecipe(
    name="self-exploring",
    description="Preference pairs with the reference policy's response, for SELM",
    columns=PLAIN_PAIR | {"reference_response": ColumnType.TURNS},
    rows=_rows,
    needs=frozenset({Need.REFERENCE}),
)
