"""The rooms keep to themselves what is theirs, and docs/architecture.md draws them as they are."""

import configparser
import subprocess
import sys
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
