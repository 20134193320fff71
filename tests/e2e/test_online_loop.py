"""The example of online training: two rounds of each loss, from the model's own samples."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from transformers import AutoTokenizer, GenerationConfig

from tests.e2e.serving import REPOSITORY, RunningService, own_environment
from tests.e2e.train_dpo import save_tiny_model

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

LABELS: Final = 8
NEW_TOKENS: Final = 64
SIZE: Final = f"--prompts 6 --labels {LABELS} --new-tokens {NEW_TOKENS}"
TRAIN: Final = "--device cpu --max-steps 2 --batch-size 4 --learning-rate 0.01 --warmup 0"


def responses(service: RunningService, project: str) -> dict[str, dict[str, Any]]:
    """Every response of the project by its text."""
    found: dict[str, dict[str, Any]] = {}
    with service.client() as api:
        for each in api.get("/prompts", params={"project": project}).json()["prompts"]:
            prompt = api.get(f"/prompts/{each['id']}").json()
            found |= {response["text"]: response for response in prompt["responses"]}
    return found


def save_talkative_model(folder: Path) -> None:
    """A tiny model that says letters, at least a few, and ends anywhere."""
    torch.manual_seed(0)
    save_tiny_model(folder)
    vocabulary = AutoTokenizer.from_pretrained(folder).get_vocab()
    others = [
        number
        for token, number in vocabulary.items()
        if number and not (token.isascii() and token.isalpha())
    ]
    settings = GenerationConfig(suppress_tokens=others, min_new_tokens=4, eos_token_id=0)
    settings.save_pretrained(folder)


@pytest.mark.parametrize("loss", ["selm", "optune"])
def test_two_rounds_lead_to_a_second_model(
    service: RunningService, tmp_path: Path, loss: str
) -> None:
    save_talkative_model(tmp_path / "model")
    where = ["--url", service.url, "--key", service.key, "--project", f"loop-{loss}"]
    done = subprocess.run(
        [sys.executable, "-m", "examples.online_loop", loss, "--model", "model", "--out", "out",
         *where, *SIZE.split(), "--train", TRAIN],
        cwd=tmp_path,
        env=own_environment(PYTHONPATH=str(REPOSITORY), OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    of_project = responses(service, f"loop-{loss}")
    assert {each["round"] for each in of_project.values()} == {1, 2}
    for of_round in (1, 2):
        folder = tmp_path / "out" / f"round-{of_round}"
        record = json.loads((folder / "model" / "training.json").read_text())
        assert record["finished"]
        assert record["wanted"]["model"] == ("model" if of_round == 1 else "out/round-1/model")
        lines = (folder / "data" / "train.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert 0 < len(rows) <= LABELS
        # All labels of the second round went to pairs of that round.
        said = {row[side][0]["content"] for row in rows for side in ("chosen", "rejected")}
        assert {of_project[text]["round"] for text in said} == {of_round}
        if loss == "selm":
            references = {row["reference_response"][0]["content"] for row in rows}
            assert all(of_project[text]["reference"] for text in references)
    if loss == "optune":
        again = (tmp_path / "out" / "round-2" / "regenerate.jsonl").read_text().splitlines()
        assert f"round 2: {max(1, round(len(again) / 2))} prompts" in done.stdout
