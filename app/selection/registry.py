"""The strategies by name. Adding one is one file in ``strategies/`` and one row here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.selection.cost import by_cosine, by_score
from app.selection.strategies import (
    auto,
    bald_coverage,
    centroid,
    coverage,
    dissimilar,
    dissimilar_global,
    dissimilar_typical,
    gap,
    optimistic,
    random,
    similar,
    thompson,
    uncertain,
)
from app.selection.strategy import Strategy

_ROWS = (
    Strategy(
        "dissimilar",
        "the two most different responses of each prompt (REAL)",
        dissimilar.order,
        value=by_cosine,
    ),
    Strategy(
        "dissimilar-typical",
        "the two most different of the typical half of each prompt's responses",
        dissimilar_typical.order,
    ),
    Strategy(
        "auto",
        "the most different of random groups of responses, as large as the labels allow",
        auto.order,
        learns=True,
    ),
    Strategy(
        "dissimilar-global",
        "the most different pairs of the whole collection (REAL on pairs)",
        dissimilar_global.order,
        collection_wide=True,
        value=by_cosine,
    ),
    Strategy(
        "similar",
        "the two most alike responses of each prompt",
        similar.order,
        value=by_cosine,
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
        value=None,
    ),
    Strategy(
        "coverage",
        "prompts that stand for the others first, the two most different responses of each",
        coverage.order,
        ranks_prompts=True,
        value=by_cosine,
    ),
    Strategy(
        "uncertain",
        "the pairs whose labels would tell most about the model (information gain)",
        uncertain.order,
        learns=True,
        ranks_prompts=True,
        value=by_score,
    ),
    Strategy(
        "bald-coverage",
        "where draws of the model disagree, on prompts unlike the labelled ones (BAL-PM)",
        bald_coverage.order,
        learns=True,
        ranks_prompts=True,
    ),
    Strategy(
        "gap",
        "the pair of the largest predicted gap, on the least certain prompts (APL)",
        gap.order,
        learns=True,
        ranks_prompts=True,
        value=by_score,
    ),
    Strategy(
        "optimistic",
        "what could be the best response against what could be the worst (DeltaUCB)",
        optimistic.order,
        learns=True,
        ranks_prompts=True,
        value=by_score,
    ),
    Strategy(
        "thompson",
        "the best response of one draw of the model against that of another (SEA)",
        thompson.order,
        learns=True,
    ),
)

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType({row.name: row for row in _ROWS})
