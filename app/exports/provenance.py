"""The columns that say where a row came from (``metadata=true``)."""

from typing import Final

from app.exports.pairs import JudgedPrompt, PreferredPair
from app.exports.recipe import Column, ColumnType, PairRecipe, Recipe, Row
from app.storage.ids import IdKind, encode

_OF_PROMPTS: Final = (
    Column("prompt_id", ColumnType.TEXT),
    Column("prompt_external_id", ColumnType.TEXT),
)
_OF_PAIRS: Final = (
    *_OF_PROMPTS,
    Column("chosen_id", ColumnType.TEXT),
    Column("chosen_external_id", ColumnType.TEXT),
    Column("rejected_id", ColumnType.TEXT),
    Column("rejected_external_id", ColumnType.TEXT),
    Column("margin", ColumnType.NUMBER),
    Column("agreement", ColumnType.NUMBER),
    Column("labels", ColumnType.COUNT),
    Column("similarity", ColumnType.NUMBER),
    Column("arm", ColumnType.TEXT),
    Column("propensity", ColumnType.NUMBER),
    Column("strategy", ColumnType.TEXT),
)


def columns(recipe: Recipe) -> tuple[Column, ...]:
    """The columns that are added to a recipe's own, except those of the same name."""
    own = {column.name for column in recipe.columns}
    added = _OF_PAIRS if isinstance(recipe, PairRecipe) else _OF_PROMPTS
    return tuple(column for column in added if column.name not in own)


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
