"""The authors' settings are the defaults; what is given comes first; each says where it is from."""

import pytest

from app.errors import CommandFailed
from app.exports.recipes import RECIPES
from app.training.losses import LOSSES, find_loss
from app.training.settings import resolve
from tests.test_docs import rows


def test_the_authors_settings_are_the_defaults() -> None:
    found = resolve(LOSSES["aps"], {}, {}, {})
    assert (found.settings.beta, found.settings.learning_rate) == (0.1, 5e-5)
    assert found.settings.lora_rank == 64
    assert dict(found.own) == {"rho": 0.1, "lowest_tau": 0.1, "highest_tau": 5.0}
    assert found.sources["rho"] == found.sources["learning_rate"] == "paper"
    assert found.sources["seed"] == "default"


def test_what_is_given_comes_first() -> None:
    found = resolve(LOSSES["aps"], {"beta": 0.5, "lora_rank": 0}, {"rho": 0.2}, {})
    assert (found.settings.beta, found.settings.lora_rank, found.own["rho"]) == (0.5, 0, 0.2)
    assert found.sources["beta"] == found.sources["lora_rank"] == found.sources["rho"] == "given"


def test_what_could_not_be_verified_is_not_said_to_be_the_authors() -> None:
    assert set(resolve(LOSSES["spo"], {}, {}, {}).sources.values()) == {"default"}


@pytest.mark.parametrize("name", LOSSES)
def test_every_setting_has_a_value_and_a_source(name: str) -> None:
    rows = resolve(LOSSES[name], {}, {}, {}).as_rows()
    assert len(rows) == len({row[0] for row in rows})
    assert {row[2] for row in rows} <= {"paper", "TRL", "default"}


def test_a_setting_of_another_loss_is_refused() -> None:
    with pytest.raises(CommandFailed, match="rdo has no setting rho; its own settings: none"):
        resolve(LOSSES["rdo"], {}, {"rho": 0.1}, {})
    with pytest.raises(CommandFailed, match="aps is no loss of TRL"):
        resolve(LOSSES["aps"], {}, {}, {"label_smoothing": 0.1})


def test_an_unknown_loss_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(CommandFailed, match=r"no loss is called dppo; there are: aot, .*, tpo"):
        find_loss("dppo")


def test_the_page_has_every_loss_with_its_settings() -> None:
    table = rows("training.md")
    assert set(table) >= set(LOSSES)
    for name, loss in LOSSES.items():
        _, description, paper, recipe, settings = table[name]
        assert description == loss.description
        assert (loss.paper or "–") in paper
        assert recipe == f"[`{loss.recipe}`](recipes/{loss.recipe}.md)"
        for setting, value in [*loss.authors.items(), *loss.own.items()]:
            assert f"{setting.replace('_', ' ')} {value:g}" in settings


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_served_by_a_recipe_that_has_its_columns(name: str) -> None:
    loss = LOSSES[name]
    assert set(loss.columns) <= set(RECIPES[loss.recipe].columns)
