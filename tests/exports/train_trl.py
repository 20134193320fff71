"""Load dataset files with `datasets` and train TRL's own trainers on each for two steps.

A script of its own: trainers warn about much that is not ours. `WORK_FOLDER RECIPE:FILE...`; its
last line is a JSON object, from the name of each file to what came of it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
)

from tests.e2e.train_dpo import report, save_tiny_model, train_two_steps

TRAINERS: dict[str, tuple[Any, Any]] = {  # TRL ships no types
    "dpo": (DPOConfig, DPOTrainer),
    "kto": (KTOConfig, KTOTrainer),
    "reward": (RewardConfig, RewardTrainer),
}


def train(recipe: str, dataset_file: Path, model: Path, work: Path) -> dict[str, Any]:
    """Two steps on the file, what is in a batch beside tokens, and the texts that were read."""
    rows, trainer = train_two_steps(*TRAINERS[recipe], dataset_file, model, work)
    batch = next(iter(trainer.get_train_dataloader()))
    taken = {name: batch[name].tolist() for name in ("margin", "label") if name in batch}
    tokens = [name for name in trainer.train_dataset.column_names if name.endswith("_ids")]
    texts = [
        trainer.processing_class.decode(row[name])
        for row in trainer.train_dataset
        for name in tokens
    ]
    return report(rows, trainer) | {"batch": taken, "texts": texts}


def main() -> None:
    """Train on every file that was named."""
    torch.set_num_threads(1)
    work = Path(sys.argv[1])
    save_tiny_model(work / "model")
    found = {}
    for argument in sys.argv[2:]:
        recipe, _, name = argument.partition(":")
        file = Path(name)
        found[file.name] = train(recipe, file, work / "model", work / f"{file.name}.work")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
