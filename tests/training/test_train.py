"""Every loss trains a tiny model from an exported folder, in both layouts, through its trainer."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from app.cli.__main__ import main
from app.training.loss import Trainer
from app.training.losses import LOSSES
from app.training.losses.plain import TRL_LOSSES
from tests.training.exported import write_folder

pytestmark = pytest.mark.filterwarnings("ignore")  # trainers warn about much that is not ours

SETTINGS = [
    "--device",
    "cpu",
    "--batch-size",
    "4",
    "--warmup",
    "0",
    "--learning-rate",
    "1e-3",
    "--max-steps",
    "2",
]


def run(loss: str, data: Path, model: Path, out: Path, *more: str) -> dict[str, float]:
    """Train by the command, and give the figures that it wrote down."""
    arguments = ["train", loss, "--data", str(data), "--model", str(model), "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *SETTINGS, *more])
    assert ended.value.code == 0
    figures: dict[str, float] = json.loads((out / "training.json").read_text())["figures"]
    return figures


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder)
    return dict(model.state_dict())


RELATIVES = {loss.name for loss in TRL_LOSSES if loss.trainer is Trainer.DPO}
"""They share one trainer, so one layout is enough."""


@pytest.mark.parametrize(
    ("loss", "chat"),
    [(loss, chat) for loss in LOSSES for chat in (False, True) if not (chat and loss in RELATIVES)],
)
def test_a_loss_trains(loss: str, chat: bool, tiny_model: Path, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", LOSSES[loss].recipe, chat=chat)

    figures = run(loss, data, tiny_model, tmp_path / "out")

    assert figures["steps"] == 2
    assert math.isfinite(figures["train_loss"])
    assert math.isfinite(figures["eval_loss"])
    out = tmp_path / "out"
    assert {file.name for file in out.iterdir()} >= {"config.json", "README.md", "tokenizer.json"}
    assert not (out / "checkpoints").exists()
    if loss == "reward":
        assert AutoModelForSequenceClassification.from_pretrained(out).config.num_labels == 1
        return
    before, after = weights(tiny_model), weights(out)
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("loss", ["dpo", "spo", "pro", "reward", "kto"])
def test_lora_gives_a_whole_model_and_its_adapter(
    loss: str, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_folder(tmp_path / "data", LOSSES[loss].recipe)

    run(loss, data, tiny_model, tmp_path / "out", "--lora-rank", "4")

    assert (tmp_path / "out" / "adapter" / "adapter_model.safetensors").exists()
    if loss != "reward":
        before, after = weights(tiny_model), weights(tmp_path / "out")
        assert before.keys() == after.keys()
        assert any(not torch.equal(before[name], after[name]) for name in before)
