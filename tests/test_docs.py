"""The documentation is whole: what exists is documented, and what is documented exists."""

import re
from pathlib import Path
from typing import Final

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from app.cli.__main__ import cli
from app.exports.recipes import RECIPES
from app.main import create_app
from app.selection.registry import STRATEGIES
from app.settings import Settings

REPOSITORY: Final = Path(__file__).parents[1]
DOCS: Final = REPOSITORY / "docs"
PAGES: Final = sorted(
    [*DOCS.rglob("*.md"), *REPOSITORY.glob("*.md"), REPOSITORY / "examples" / "README.md"]
)


def rows(page: str) -> dict[str, list[str]]:
    """The rows of a page's tables by the code in their first cell."""
    found = {}
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\| `([^`]+)`", line):
            found[match[1]] = [cell.strip() for cell in line.strip("|").split(" | ")]
    return found


def commands(group: object, path: str = "") -> dict[str, TyperCommand]:
    """Every command of the command line by its words, as in ``ledger verify``."""
    if isinstance(group, TyperCommand):
        return {path.strip(): group}
    assert isinstance(group, TyperGroup)
    found: dict[str, TyperCommand] = {}
    for name, command in group.commands.items():
        found |= commands(command, f"{path} {name}")
    return found


COMMANDS: Final = commands(get_command(cli))


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_documented_with_its_default_and_its_meaning(name: str) -> None:
    field = Settings.model_fields[name]
    _, unit, default, meaning = rows("settings.md")[name.upper()]
    assert unit
    assert meaning == field.description
    if field.default_factory is None:
        assert default == ("none" if field.default is None else f"`{field.default}`")


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert set(rows("settings.md")) == {name.upper() for name in Settings.model_fields}


def command_section(name: str) -> str:
    """What the page says under the command's heading."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^## `([^`]+)`$", page, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(sections) == set(COMMANDS)
    return sections[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented_with_all_of_its_options(name: str) -> None:
    section = command_section(name)
    for parameter in COMMANDS[name].params:
        if getattr(parameter, "hidden", False):
            continue
        for option in [*parameter.opts, *parameter.secondary_opts]:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in section, option


def test_every_strategy_is_documented_and_no_other() -> None:
    assert set(rows("strategies.md")) == set(STRATEGIES)


def test_every_recipe_has_a_page_and_no_other_has() -> None:
    assert {page.stem for page in (DOCS / "recipes").glob("*.md")} == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_documented_with_its_columns(name: str) -> None:
    assert set(RECIPES[name].columns) <= set(rows(f"recipes/{name}.md"))


def test_every_call_on_the_api_page_exists() -> None:
    schema = create_app(Settings.model_validate({"database_url": "postgresql://x/y"})).openapi()
    existing = {
        f"{method.upper()} {re.sub(r'{[^}]+}', '{}', path)}"
        for path, operations in schema["paths"].items()
        for method in operations
    } | {"GET /exports/dpo"}
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:GET|POST|PATCH|DELETE) /[^`?]*)", page)
    assert named
    assert {re.sub(r"{[^}]+}", "{}", call) for call in named} <= existing


def test_every_make_target_is_documented_and_no_other() -> None:
    phony = re.findall(r"^\.PHONY:(.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    contributing = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `make ([\w-]+)` \|", contributing, re.MULTILINE)
    assert sorted(documented) == sorted(" ".join(phony).split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", text):
        link = "".join(target)
        assert link.startswith(("https://", "http://")) or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    folders = r"(?:app|benchmarks|docs|examples|migrations|tests|\.ci|\.github)"
    for name in re.findall(rf"`({folders}/[\w./-]*)`", page.read_text(encoding="utf-8")):
        assert (REPOSITORY / name).exists(), name
