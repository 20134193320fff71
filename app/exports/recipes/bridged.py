"""Pairs that differ by an edit alone: BMC, Bridging and Modeling Correlations (arXiv 2408.07471).

One row a pair with an annotator's edit: ``chosen`` is the edit, and ``rejected`` is what was
edited, so that the two stay close. An edit of the rejected response towards the preferred one, as
in the paper, comes before an edit of the preferred one. For
−log σ(β Σₜ λₜ log π(y_wᵗ|·)/π_ref(y_wᵗ|·) − β Σₜ λₜ log π(y_lᵗ|·)/π_ref(y_lᵗ|·)), where λₜ is 1 for
tokens that both share and 1 + min(1/π, δ) for those in which they differ. The edit is the first by
somebody whose label agrees with the row; an empty one, and one that says what either response says,
gives no row. Prompts with tools or tool calls are left out: an edit is a text alone.
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import PLAIN_PAIR, Layout, Need, PairRecipe, Row, plain_pair, text_turns


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    row = plain_pair(preferred, layout)
    if preferred.bridge is not None:
        yield row | {"chosen": text_turns(preferred.bridge, layout)}
    elif preferred.improved is not None:
        edit = text_turns(preferred.improved, layout)
        yield row | {"chosen": edit, "rejected": row["chosen"]}


RECIPE = PairRecipe(
    name="bridged",
    description="An annotator's edits, each against the response that was edited, for BMC",
    columns=PLAIN_PAIR,
    rows=_rows,
    needs=frozenset({Need.ANY_EDITS}),
)
