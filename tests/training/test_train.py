"""Every loss trains a tiny model from an exported folder, in both layouts, through its trainer."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from app.training.loss import Trainer
from app.training.losses import LOSSES
from app.training.losses.plain import TRL_LOSSES
from tests.training.command import command
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
    assert command(*arguments, *SETTINGS, *more) == 0
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


@pytest.mark.parametrize(
    ("loss", "more", "message"),
    [
        ("dpo", ["--scheduler", "steps"], "--scheduler steps: must be one of linear"),
        ("dpo", ["--device", "cuda"], "--device cuda: PyTorch finds no such device"),
        ("dpo", ["--device", "tpu"], "--device tpu: must be one of auto"),
        ("dpo", ["--batch-size", "6"], "--batch-size 6 cannot be made of batches of 4"),
        ("dpo", ["--max-length", "5"], "no row is left: every prompt fills 5 tokens"),
        ("pro", ["--max-length", "5"], "no row is left: every prompt fills 5 tokens"),
        ("ipo", ["--option", "label_smoothing"], "must be NAME=VALUE"),
        ("ipo", ["--option", "no_such=1"], "DPOConfig has no such argument"),
        ("ipo", ["--weighted"], "it has no place for a weight"),
        ("pro", ["--weighted"], "pro needs the column `weight`"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    loss: str,
    more: list[str],
    message: str,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if more == ["--device", "cuda"] and torch.cuda.is_available():
        pytest.skip("there is such a device")
    data = write_folder(tmp_path / "data", LOSSES[loss].recipe)
    where = ["--data", data, "--model", tiny_model, "--out", tmp_path / "out", "--device", "cpu"]

    assert command("train", loss, *where, *more) == 1

    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("Error: ")
    assert message in said
    assert not (tmp_path / "out" / "training.json").exists()


def test_a_folder_of_a_run_that_failed_at_once_can_be_used(
    tiny_model: Path, tmp_path: Path
) -> None:
    data = write_folder(tmp_path / "data", "dpo")
    where = ["--data", data, "--model", tiny_model, "--out", tmp_path / "out", "--device", "cpu"]
    assert command("train", "dpo", *where, "--max-length", "5") == 1

    run("dpo", data, tiny_model, tmp_path / "out")


def test_rows_without_room_are_told(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folder(tmp_path / "data", "dpo")
    file = data / "train.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["prompt"] = "long " * 100
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    run("dpo", data, tiny_model, tmp_path / "out", "--max-length", "100")

    assert "1 rows were left out" in capsys.readouterr().err
    card = (tmp_path / "out" / "README.md").read_text()
    assert "1 of them were left out: their prompts fill 100 tokens." in card
    assert "Changed since the export: train.jsonl." in card


@pytest.mark.parametrize(
    ("loss", "recipe", "is_told"),
    [("bmc", "dpo", True), ("bmc", "bridged", False), ("dpo", "bridged", False)],
)
def test_rows_of_another_recipe_are_told_where_the_loss_has_one_of_its_own(
    loss: str,
    recipe: str,
    is_told: bool,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write_folder(tmp_path / "data", recipe)
    where = ["--data", data, "--model", tiny_model, "--out", tmp_path / "out"]

    assert command("train", loss, *where, "--dry-run") == 0

    said = capsys.readouterr().err
    assert ("is made for the recipe `bridged`; these rows are of `dpo`" in said) is is_told


def test_a_dry_run_shows_the_settings_and_writes_nothing(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folder(tmp_path / "data", "dpo")
    where = ["--data", data, "--model", tiny_model, "--out", tmp_path / "out"]

    assert command("train", "aps", *where, "--dry-run", "--rho", "0.3") == 0

    said = capsys.readouterr().out
    assert "8 rows to train on, 4 held out." in said
    assert [
        line.split() for line in said.splitlines() if line.startswith(("rho", "lora_rank"))
    ] == [
        ["lora_rank", "64", "paper"],
        ["rho", "0.3", "given"],
    ]
    assert not (tmp_path / "out").exists()
