"""Strategies, recipes and formats are found by the files that define them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.registry import collect

NAMED = """
from tests.test_registry import Named
"""


@dataclass(frozen=True)
class Named:
    name: str


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A package of modules with this content."""

    def make(name: str, **modules: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        for module, content in {"__init__": "", **modules}.items():
            (folder / f"{module}.py").write_text(content and NAMED + content)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    return make


def test_what_the_modules_define_is_found_in_the_order_of_names(
    package: Callable[..., str],
) -> None:
    name = package("three", a="X = Named('last')", b="X = Named('first')\nY = Named('middle')")

    assert [each.name for each in collect(name, Named)] == ["first", "last", "middle"]


def test_helpers_and_imported_objects_add_nothing(package: Callable[..., str]) -> None:
    name = package("helped", a="X = Named('one')", b="from helped.a import X", c="NUMBER = 1")

    assert [each.name for each in collect(name, Named)] == ["one"]


def test_two_of_the_same_name_are_refused(package: Callable[..., str]) -> None:
    name = package("copied", a="X = Named('one')", b="X = Named('one')")

    with pytest.raises(ValueError, match="two are named one"):
        collect(name, Named)
