"""The fixtures of the end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.e2e.serving import RunningService, running_service


@pytest.fixture(scope="session")
def service() -> Iterator[RunningService]:
    """The real service, with an empty database of its own; started once for all of these tests."""
    with running_service() as started:
        yield started
