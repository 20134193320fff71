"""The strategies by name. Adding one is one file in ``strategies/`` and one row here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.selection.strategies import centroid, dissimilar, dissimilar_global, random, similar
from app.selection.strategy import Strategy

_ROWS = (
    Strategy(
        "dissimilar",
        "the two most different responses of each prompt (REAL)",
        dissimilar.order,
    ),
    Strategy(
        "dissimilar-global",
        "the most different pairs of the whole collection (REAL on pairs)",
        dissimilar_global.order,
        collection_wide=True,
    ),
    Strategy(
        "similar",
        "the two most alike responses of each prompt",
        similar.order,
    ),
    Strategy(
        "centroid",
        "the responses nearest to the two centres of a 2-means on each prompt's responses",
        centroid.order,
    ),
    Strategy(
        "random",
        "any pair of any prompt, uniformly",
        random.order,
        near_duplicates_last=False,
    ),
)

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType({row.name: row for row in _ROWS})
