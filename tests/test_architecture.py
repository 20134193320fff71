"""The rooms keep to themselves what is theirs, and docs/architecture.md draws them as they are."""

import configparser
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from importlinter.api import read_configuration

REPOSITORY: Final = Path(__file__).parents[1]
APP: Final = REPOSITORY / "app"
ROOMS: Final = sorted(path.parent.name for path in APP.glob("*/__init__.py"))
ROOMS_WITH_QUERIES: Final = [
    room
    for room in ROOMS
    if (APP / room / "queries.py").exists() or (APP / room / "queries").is_dir()
]
CONTRACTS: Final[list[dict[str, Any]]] = read_configuration(str(REPOSITORY / "pyproject.toml"))[
    "contracts_options"
]


def write_query_contracts(path: Path) -> None:
    """One import-linter contract for each room that has queries."""
    config = configparser.ConfigParser()
    config["importlinter"] = {"root_package": "app"}
    for room in ROOMS_WITH_QUERIES:
        config[f"importlinter:contract:{room}"] = {
            "name": f"Only {room} imports the queries of {room}",
            "type": "protected",
            "protected_modules": f"\napp.{room}.queries",
            "allowed_importers": f"\napp.{room}",
        }
    with path.open("w", encoding="utf-8") as file:
        config.write(file)


def test_only_the_own_room_imports_its_queries(tmp_path: Path) -> None:
    assert ROOMS_WITH_QUERIES
    write_query_contracts(tmp_path / "queries.ini")
    linter = Path(sys.executable).parent / "lint-imports"
    linted = subprocess.run(
        [linter, "--no-logo", "--no-cache", "--config", tmp_path / "queries.ini"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
        text=True,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("room", ["selection", "formats"])
def test_a_pure_room_stays_pure(room: str) -> None:
    forbidden = {
        module
        for contract in CONTRACTS
        if contract["type"] == "forbidden" and f"app.{room}" in contract["source_modules"]
        for module in contract["forbidden_modules"]
    }
    assert {"fastapi", "sqlalchemy", "app.settings"} <= forbidden


def architecture_page() -> str:
    return (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_diagram_has_the_floors_of_the_contract() -> None:
    (layers,) = [contract["layers"] for contract in CONTRACTS if contract["type"] == "layers"]
    (diagram,) = re.findall(r"```mermaid\n(.*?)```", architecture_page(), re.DOTALL)
    floors = re.findall(r'(floor\d+)\["(.+)"\]', diagram)
    assert [rooms for _, rooms in floors] == layers
    arrows = re.findall(r"(?=(floor\d+) --> (floor\d+))", diagram)
    names = [name for name, _ in floors]
    assert arrows == list(pairwise(names))


def test_every_room_is_described_and_no_other() -> None:
    described = re.findall(r"^\| `(\w+(?:/|\.py))` \|", architecture_page(), re.MULTILINE)
    files = [path.name for path in APP.glob("*.py") if path.name != "__init__.py"]
    assert sorted(described) == sorted([*(f"{room}/" for room in ROOMS), *files])


def test_every_decision_is_in_the_index() -> None:
    folder = REPOSITORY / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((\d{4}-[^)]+\.md)\)", index)
    assert linked == sorted(path.name for path in folder.glob("[0-9]*.md"))
