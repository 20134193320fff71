"""A tiny model for all tests of this folder."""

from pathlib import Path

import pytest

from tests.e2e.train_dpo import save_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers, and a tokenizer of bytes."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    save_tiny_model(folder)
    return folder
