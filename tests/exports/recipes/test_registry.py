import io
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from app.errors import UnknownRecipe
from app.exports import provenance
from app.exports.pairs import PreferredPair
from app.exports.parquet import ParquetRowGroups
from app.exports.recipe import Layout, PairRecipe, Recipe
from app.exports.recipes import RECIPES, find_recipe
from tests.exports.preferred import judged_prompt, preferred_pair

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def test_a_recipe_is_found_by_its_name() -> None:
    assert find_recipe("dpo").name == "dpo"


@pytest.mark.parametrize("name", ["", "DPO", "dpo2", "__init__"])
def test_an_unknown_name_is_told(name: str) -> None:
    with pytest.raises(UnknownRecipe):
        find_recipe(name)


FACTS = {"reward_chosen": 0.5, "reward_rejected": -0.5, "margin": 1.0}


def _subject(recipe: Recipe) -> Any:
    """What the recipe makes rows of, with everything that any recipe needs."""
    plain = preferred_pair()
    metadata = {"logprob_safe": -1.0, "logprob_unsafe": -2.0}
    pair = replace(
        plain.pair,
        first=replace(plain.pair.first, metadata=metadata),
        second=replace(plain.pair.second, metadata=metadata),
        edits=("the second text, edited",),
        reference="the reference",
    )
    preferred = PreferredPair(pair, plain.preference, **FACTS)
    if isinstance(recipe, PairRecipe):
        return preferred
    return judged_prompt(preferred)


@every_recipe
@pytest.mark.parametrize("layout", Layout)
def test_every_row_has_exactly_the_columns(recipe: Recipe, layout: Layout) -> None:
    names = sorted(recipe.columns)
    subject = _subject(recipe)

    rows = list(recipe.rows(subject, layout))

    assert rows
    assert [names] * len(rows) == [sorted(row) for row in rows]
    assert rows == list(recipe.rows(subject, layout))


@every_recipe
@pytest.mark.parametrize("layout", Layout)
def test_every_row_fits_the_parquet_schema(recipe: Recipe, layout: Layout) -> None:
    rows = list(recipe.rows(_subject(recipe), layout))
    encoder = ParquetRowGroups(recipe.columns, layout)

    table = pq.read_table(io.BytesIO(encoder.encode(rows) + encoder.finish()))

    assert rows == table.to_pylist()


@every_recipe
def test_the_row_of_provenance_has_exactly_its_columns(recipe: Recipe) -> None:
    subject = _subject(recipe)
    is_pair = isinstance(subject, PreferredPair)
    told = provenance.of_pair(subject) if is_pair else provenance.of_prompt(subject)

    assert list(provenance.columns(recipe)) == [name for name in told if name not in recipe.columns]
