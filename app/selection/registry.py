"""The strategies by name. Adding one is one file in ``strategies/`` and one row here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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
    ),
    Strategy(
        "dissimilar-typical",
        "the two most different of the typical half of each prompt's responses",
        dissimilar_typical.order,
    ),
    Strategy(
        "auto",
        "dissimilar, guarded against freaks the more, the more responses a prompt has",
        auto.order,
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

_ROWS_OF_SIMULATION = (
    Strategy(
        "coverage",
        "prompts that stand for the others first, the two most different responses of each",
        coverage.order,
    ),
    Strategy(
        "uncertain",
        "the pairs whose labels would tell most about the model (information gain)",
        uncertain.order,
        learns=True,
    ),
    Strategy(
        "bald-coverage",
        "where draws of the model disagree, on prompts unlike the labelled ones (BAL-PM)",
        bald_coverage.order,
        learns=True,
    ),
    Strategy(
        "gap",
        "the pair of the largest predicted gap, on the least certain prompts (APL)",
        gap.order,
        learns=True,
    ),
    Strategy(
        "optimistic",
        "what could be the best response against what could be the worst (DeltaUCB)",
        optimistic.order,
        learns=True,
    ),
    Strategy(
        "thompson",
        "the best response of one draw of the model against that of another (SEA)",
        thompson.order,
        learns=True,
    ),
)

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType({row.name: row for row in _ROWS})
"""What a project may choose: the planner does all of these."""

SIMULATED: Final[Mapping[str, Strategy]] = MappingProxyType(
    {row.name: row for row in (*_ROWS, *_ROWS_OF_SIMULATION)}
)
"""What ``simulate`` knows: beside those, rules that need a fitted model, or an order of all prompts
at once, which the planner has not got."""
