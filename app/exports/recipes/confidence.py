"""Preference pairs with the probability that each is right, for losses that know of label noise.

One row a pair: ``confidence`` p̂ is the posterior of Dawid and Skene (1979) that ``chosen`` is the
better response, given how reliable each annotator is, whatever the aggregation; also where a pair
has one label. For cDPO, −p̂ log σ(z) − (1 − p̂) log σ(−z), robust DPO (arXiv 2403.00409) and
geometrically averaged DPO (arXiv 2409.06691). The manifest has ε, the mean of 1 − p̂.
"""

from collections.abc import Iterator
from typing import Final

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

_DIGITS: Final = 6


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    confidence = round(preferred.confidence, _DIGITS)
    yield plain_pair(preferred, layout) | {"confidence": confidence}


RECIPE = PairRecipe(
    name="confidence",
    description="Preference pairs with the probability that each is right, for cDPO and robust DPO",
    columns={**PLAIN_PAIR, "confidence": ColumnType.NUMBER},
    rows=_rows,
    needs=frozenset({Need.CONFIDENCE}),
    tools=Tools.IN_MESSAGES,
)
