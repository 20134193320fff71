"""The recipes, one module each; a module that holds a ``RECIPE`` is one."""

from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Final

from app.errors import UnknownRecipe
from app.exports.recipe import Recipe


def _load_all() -> dict[str, Recipe]:
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    recipes: list[Recipe] = [module.RECIPE for module in modules]
    return {recipe.name: recipe for recipe in sorted(recipes, key=lambda recipe: recipe.name)}


RECIPES: Final = MappingProxyType(_load_all())
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
