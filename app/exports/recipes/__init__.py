"""The recipes, one module each. Adding one is adding a file."""

from types import MappingProxyType
from typing import Final

from app.errors import UnknownRecipe
from app.exports.recipe import PairRecipe, PromptRecipe, Recipe
from app.registry import collect

_FOUND: list[Recipe] = collect(__name__, PairRecipe, PromptRecipe)

RECIPES: Final = MappingProxyType({recipe.name: recipe for recipe in _FOUND})
"""Every recipe by its name, in the order of the names."""


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UnknownRecipe: there is none.
    """
    recipe = RECIPES.get(name)
    if recipe is None:
        raise UnknownRecipe("no recipe has that name; `GET /exports` lists them")
    return recipe
