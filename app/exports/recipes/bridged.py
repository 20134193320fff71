"""Pairs that differ by an edit alone: BMC, Bridging and Modeling Correlations (arXiv 2408.07471).

One row a pair with an annotator's edit of the preferred response: ``chosen`` is the edit, a
pseudo-winner close to what it is compared with; ``rejected`` is the pair's loser. For
−log σ(β Σₜ λₜ log π(y_wᵗ|·)/π_ref(y_wᵗ|·) − β Σₜ λₜ log π(y_lᵗ|·)/π_ref(y_lᵗ|·)), where λₜ is 1 for
tokens that both share and 1 + min(1/π, δ) for those in which they differ. The edit is the first by
somebody whose label agrees with the row; one that is empty, or says what the loser says, gives no
row. Prompts with tools or tool calls are left out: an edit is a text alone.
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import PLAIN_PAIR, Layout, Need, PairRecipe, Row, plain_pair, text_turns


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    edited = preferred.edited
    if edited is not None and edited.strip() not in ("", preferred.rejected.text.strip()):
        yield plain_pair(preferred, layout) | {"chosen": text_turns(edited, layout)}


RECIPE = PairRecipe(
    name="bridged",
    description="Preference pairs whose chosen text is an annotator's edit, for BMC",
    columns=PLAIN_PAIR,
    rows=_rows,
    needs=frozenset({Need.EDITS}),
)
