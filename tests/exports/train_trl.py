"""Load dataset files with `datasets` and train TRL's own trainers on each for two steps.

A script of its own: trainers warn about much that is not ours. `WORK_FOLDER RECIPE:FILE...`; its
last line is a JSON object, from the name of each file to what came of it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_dataset
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
)

from tests.e2e.train_dpo import STEPS, save_tiny_model

TRAINERS: dict[str, tuple[Any, Any]] = {  # TRL ships no types
    "dpo": (DPOConfig, DPOTrainer),
    "kto": (KTOConfig, KTOTrainer),
    "reward": (RewardConfig, RewardTrainer),
}


def train(recipe: str, dataset_file: Path, model: Path, work: Path) -> dict[str, object]:
    """Two steps on the file, exactly as the service wrote it."""
    kind = "parquet" if dataset_file.suffix == ".parquet" else "json"
    rows: Dataset = load_dataset(
        kind, data_files=str(dataset_file), split="train", cache_dir=str(work)
    )
    make_arguments, make_trainer = TRAINERS[recipe]
    arguments = make_arguments(
        output_dir=str(work / "out"),
        max_steps=STEPS,
        per_device_train_batch_size=4,
        max_length=None,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
    )
    trainer = make_trainer(model=str(model), args=arguments, train_dataset=rows)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.train()
    logged = trainer.state.log_history
    return {
        "columns": rows.column_names,
        "trainable": len(trainer.train_dataset),
        "rows": len(rows),
        "steps": trainer.state.global_step,
        "losses": [entry["loss"] for entry in logged if "loss" in entry],
        "batch": {name: batch[name].tolist() for name in ("margin", "label") if name in batch},
    }


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
