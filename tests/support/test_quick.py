import sys

import pytest

from tests.support.quick import SLOW_PATHS, TESTS, only_quick


def test_every_slow_path_exists() -> None:
    assert [path for path in SLOW_PATHS if not (TESTS / path).exists()] == []


def test_a_quick_run_imports_neither_torch_nor_datasets(request: pytest.FixtureRequest) -> None:
    heavy = {"torch", "datasets", "sentence_transformers"} & sys.modules.keys()
    assert not (only_quick(request.config) and heavy), "add the test file that did to SLOW_PATHS"
