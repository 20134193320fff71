"""Pairs with rewards from contrasting prompts: DLMA (arXiv 2402.11907).

One row a pair whose responses both came with their log-probabilities under a good system prompt p⁺
(``logprob_safe``) and a bad one p⁻ (``logprob_unsafe``) in their metadata:
``reward_safe`` = log π(y_w|x, p⁺) − log π(y_w|x, p⁻), ``reward_not_safe`` the same for y_l, and
``margin`` = reward_safe − reward_not_safe, for
−log σ(β log π(y_w|x)/π_ref(y_w|x) − β log π(y_l|x)/π_ref(y_l|x) − β₁ clamp(margin, L, U)).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

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

LOG_PROBABILITIES: Final = ("logprob_safe", "logprob_unsafe")
"""The keys of a response's metadata."""
MADE_BY: Final = "logprob_by"
"""The key that names the model and the prompts, where the command `logprobs` made them."""


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    safe, not_safe = contrast(preferred.chosen.metadata), contrast(preferred.rejected.metadata)
    if safe is not None and not_safe is not None:
        yield plain_pair(preferred, layout) | {
            "reward_safe": safe,
            "reward_not_safe": not_safe,
            "margin": safe - not_safe,
        }


def contrast(metadata: Mapping[str, Any] | None) -> float | None:
    """The reward log π(y|x, p⁺) − log π(y|x, p⁻) by a response's metadata; None: not both there."""
    given = [(metadata or {}).get(key) for key in LOG_PROBABILITIES]
    numbers = [
        float(value)
        for value in given
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) < len(given) or not all(map(math.isfinite, numbers)):
        return None
    good, bad = numbers
    return good - bad


RECIPE = PairRecipe(
    name="contrastive",
    description="Preference pairs with rewards from contrasting system prompts, for DLMA",
    columns={
        **PLAIN_PAIR,
        "reward_safe": ColumnType.NUMBER,
        "reward_not_safe": ColumnType.NUMBER,
        "margin": ColumnType.NUMBER,
    },
    rows=_rows,
    tools=Tools.IN_MESSAGES,
    needs=frozenset({Need.LOG_PROBABILITIES}),
)
