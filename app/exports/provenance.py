"""The columns that say where a row came from (``metadata=true``)."""

from typing import Final

from app.exports.pairs import JudgedPrompt, PreferredPair
from app.exports.recipe import Columns, ColumnType, PairRecipe, Recipe, Row
from app.storage.ids import IdKind, encode

_OF_PROMPTS: Final = {
    "prompt_id": ColumnType.TEXT,
    "prompt_external_id": ColumnType.TEXT,
}
_OF_PAIRS: Final = {
    **_OF_PROMPTS,
    "chosen_id": ColumnType.TEXT,
    "chosen_external_id": ColumnType.TEXT,
    "rejected_id": ColumnType.TEXT,
    "rejected_external_id": ColumnType.TEXT,
    "margin": ColumnType.NUMBER,
    "agreement": ColumnType.NUMBER,
    "labels": ColumnType.COUNT,
    "similarity": ColumnType.NUMBER,
    "arm": ColumnType.TEXT,
    "propensity": ColumnType.NUMBER,
    "strategy": ColumnType.TEXT,
}


def columns(recipe: Recipe) -> Columns:
    """The columns that are added to a recipe's own, except those of the same name."""
    added = _OF_PAIRS if isinstance(recipe, PairRecipe) else _OF_PROMPTS
    return {name: kind for name, kind in added.items() if name not in recipe.columns}


def of_prompt(prompt: JudgedPrompt) -> Row:
    """The cells of a row about a whole prompt."""
    return {
        "prompt_id": encode(IdKind.PROMPT, prompt.prompt_id),
        "prompt_external_id": prompt.external_id,
    }


def of_pair(preferred: PreferredPair) -> Row:
    """The cells of a row about a pair."""
    pair, preference = preferred.pair, preferred.preference
    return {
        "prompt_id": encode(IdKind.PROMPT, pair.prompt_id),
        "prompt_external_id": pair.prompt_external_id,
        "chosen_id": encode(IdKind.RESPONSE, preferred.chosen.response_id),
        "chosen_external_id": preferred.chosen.external_id,
        "rejected_id": encode(IdKind.RESPONSE, preferred.rejected.response_id),
        "rejected_external_id": preferred.rejected.external_id,
        "margin": preferred.margin,
        "agreement": preference.agreement,
        "labels": preference.labels,
        "similarity": pair.similarity,
        "arm": pair.arm,
        "propensity": pair.propensity,
        "strategy": pair.strategy,
    }
