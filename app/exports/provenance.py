"""The columns that say where a row came from (``metadata=true``)."""

from typing import Final

from app.exports.pairs import JudgedPrompt, PreferredPair
from app.exports.recipe import Column, Kind, PairRecipe, Recipe, Row
from app.storage.ids import Kind as IdKind
from app.storage.ids import encode

_OF_PROMPTS: Final = (
    Column("prompt_id", Kind.TEXT),
    Column("prompt_external_id", Kind.TEXT),
)
_OF_PAIRS: Final = (
    *_OF_PROMPTS,
    Column("chosen_id", Kind.TEXT),
    Column("chosen_external_id", Kind.TEXT),
    Column("rejected_id", Kind.TEXT),
    Column("rejected_external_id", Kind.TEXT),
    Column("margin", Kind.NUMBER),
    Column("agreement", Kind.NUMBER),
    Column("labels", Kind.COUNT),
    Column("similarity", Kind.NUMBER),
    Column("arm", Kind.TEXT),
    Column("propensity", Kind.NUMBER),
    Column("strategy", Kind.TEXT),
)


def columns(recipe: Recipe) -> tuple[Column, ...]:
    """The columns that a recipe's rows get beside their own; its own come first."""
    own = {column.name for column in recipe.columns}
    told = _OF_PAIRS if isinstance(recipe, PairRecipe) else _OF_PROMPTS
    return tuple(column for column in told if column.name not in own)


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
