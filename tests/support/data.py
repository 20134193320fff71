"""Real preference data: whole files where they lie beside the checkout, samples otherwise."""

import gzip
import json
import os
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).parents[2]
SAMPLES: Final = REPOSITORY / "tests" / "data"
WHOLE: Final = Path(os.environ.get("TEST_DATA_DIR", REPOSITORY / ".." / "shared" / "data"))
"""The folder of the whole files; set ``TEST_DATA_DIR`` to an empty one to test the samples."""


def is_whole(name: str) -> bool:
    """Whether the whole file is there, not only the sample."""
    return (WHOLE / f"{name}.jsonl.gz").exists()


def real_file(name: str) -> Path:
    """The file of that name as gzipped JSON lines, whole if it is there."""
    return (WHOLE if is_whole(name) else SAMPLES) / f"{name}.jsonl.gz"


def real_lines(name: str) -> list[dict[str, Any]]:
    """The objects in ``real_file(name)``."""
    with gzip.open(real_file(name), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
