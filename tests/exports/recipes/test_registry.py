import pytest

from app.errors import UnknownRecipe
from app.exports import provenance
from app.exports.recipe import Layout, Recipe
from app.exports.recipes import RECIPES, find_recipe
from tests.exports.preferred import preferred_pair

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def test_a_recipe_is_found_by_its_name() -> None:
    assert find_recipe("dpo").name == "dpo"


@pytest.mark.parametrize("name", ["", "DPO", "dpo2", "__init__"])
def test_an_unknown_name_is_told(name: str) -> None:
    with pytest.raises(UnknownRecipe):
        find_recipe(name)


@every_recipe
@pytest.mark.parametrize("layout", Layout)
def test_every_row_has_exactly_the_columns(recipe: Recipe, layout: Layout) -> None:
    names = [column.name for column in recipe.columns]
    pair = preferred_pair()

    rows = list(recipe.rows(pair, layout))

    assert [names] * len(rows) == [list(row) for row in rows]
    assert rows == list(recipe.rows(pair, layout))


def test_the_row_of_provenance_has_exactly_its_columns() -> None:
    told = provenance.provenance(preferred_pair(), with_margin=True)

    assert [column.name for column in provenance.COLUMNS] == list(told)
