"""A training that is killed goes on where it was, and ends as if nothing had happened."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from app.training.run import last_checkpoint
from tests.training.exported import write_folder

REPOSITORY = Path(__file__).parents[2]
STEPS = 12


def begin(loss: str, data: Path, model: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    settings = f"--device cpu --batch-size 2 --learning-rate 1e-3 --max-steps {STEPS}".split()
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "app.cli", "train", loss),
            *("--data", str(data), "--model", str(model), "--out", str(out)),
            *(*settings, "--save-every", "1", *more),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate()
    assert process.returncode == 0, said[-3000:]
    return said


def kill_after_a_checkpoint(process: subprocess.Popen[str], out: Path) -> int:
    """The step of the checkpoint that was there when the process was killed."""
    while last_checkpoint(out / "checkpoints")[1] is None:
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    step = last_checkpoint(out / "checkpoints")[1]
    assert step is not None
    return step


@pytest.mark.parametrize(
    ("loss", "more"), [("dpo", ()), ("spo", ("--lora-rank", "2")), ("pro", ())], ids=str
)
def test_a_killed_training_resumes(
    loss: str, more: tuple[str, ...], tiny_model: Path, tmp_path: Path
) -> None:
    data = write_folder(tmp_path / "data", "ranking" if loss == "pro" else "dpo")
    whole = begin(loss, data, tiny_model, tmp_path / "whole", *more)
    finish(whole)
    out = tmp_path / "killed"
    killed = begin(loss, data, tiny_model, out, *more)
    step = kill_after_a_checkpoint(killed, out)
    # Half of another checkpoint, as a kill in the middle of writing leaves it.
    half = out / "checkpoints" / f"checkpoint-{STEPS}"
    if step < STEPS and not half.exists():
        half.mkdir()
        (half / "model.safetensors").write_bytes(b"cut off")

    said = finish(begin(loss, data, tiny_model, out, *more))

    assert f"{STEPS} steps (resumed at step {step})" in said
    one, other = (load_file(each / "model.safetensors") for each in (tmp_path / "whole", out))
    assert one.keys() == other.keys()
    for name in one:
        assert torch.allclose(one[name], other[name], atol=1e-5), name
    assert not (out / "checkpoints").exists()
    again = finish(begin(loss, data, tiny_model, out, *more))
    assert "holds this model already" in again


def test_a_folder_of_another_training_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", "dpo")
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    process = begin("dpo", data, tiny_model, out)
    said, _ = process.communicate()
    assert process.returncode == 1
    assert "is there already, and holds no training of ours" in said
    (out / "notes.txt").unlink()
    finish(begin("dpo", data, tiny_model, out, "--max-steps", "1"))
    process = begin("dpo", data, tiny_model, out, "--beta", "0.3", "--max-steps", "1")
    said, _ = process.communicate()
    assert process.returncode == 1
    assert "holds another training (beta 0.1, now 0.3)" in said
    assert json.loads((out / "training.json").read_text())["finished"]
