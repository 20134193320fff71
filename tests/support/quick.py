"""Which tests are quick: those of `make quick`, which need no database.

A test is quick unless it uses the database, is marked `e2e` or `slow`, or lies in one of
``SLOW_PATHS``. Name whole files and folders there: `make quick` does not even import them. Mark
single tests that take more than a second with `slow`.
"""

from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
SLOW_PATHS: Final = (
    # These import torch or datasets, which takes longer than all quick tests together.
    "cli/test_export.py",
    "embedder",
    "embedding/test_causal.py",
    "embedding/test_load.py",
    "embedding/test_sentence.py",
    "exports/recipes/test_losses.py",
    "exports/test_bundle.py",
    "exports/test_loaders.py",
    "exports/test_trl.py",
    "training",
    # These start processes.
    "cli/test_cli.py",
    "cli/test_installation.py",
    "e2e",
    "embedding/test_cache.py",
    "http/test_hit_counter.py",
    "planner/test_processes.py",
    "processes",
    "storage/embedded/test_postgres.py",
    "storage/test_backup.py",
    "stress",
    "test_package.py",
    "test_readme.py",
    "test_schemathesis.py",
    "upgrade",
    # These compute for seconds.
    "cli/test_simulate.py",
    "selection/simulation",
)


def only_quick(config: pytest.Config) -> bool:
    """Whether this run is of the quick tests alone."""
    return bool(config.option.markexpr == "quick")


def is_slow_path(path: Path) -> bool:
    """Whether it is one of ``SLOW_PATHS``, or lies in one."""
    return path.is_relative_to(TESTS) and any(
        path.is_relative_to(TESTS / slow) for slow in SLOW_PATHS
    )


def is_quick(item: pytest.Item) -> bool:
    """Whether this test belongs to `make quick`."""
    assert isinstance(item, pytest.Function)
    return not (
        "postgres_url" in item.fixturenames
        or any(item.get_closest_marker(name) for name in ("e2e", "slow"))
        or is_slow_path(item.path)
    )
