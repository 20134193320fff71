"""The two commands on each recipe's page lead from labels in the service to a trained model."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.e2e.serving import REPOSITORY, RunningService, own_environment, wait_until
from tests.e2e.train_dpo import save_tiny_model
from tests.support.data import real_lines

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

PROJECT: Final = "recipe-pages"
PROMPTS: Final = 24
TIES: Final = 4
STEPS: Final = 2
OTHER_TRAINERS: Final = {"axolotl", "llama-factory", "openrlhf"}
NO_TRAINING: Final = {"regenerate"}
PAGES: Final = sorted((REPOSITORY / "docs" / "recipes").glob("*.md"))


def commands(page: Path) -> list[list[str]]:
    """The words of the page's commands that lead to a model, without `annotation-budget`."""
    lines = re.findall(
        r"^\$ annotation-budget ((?:logprobs|export|train) .*)$", page.read_text(), re.MULTILINE
    )
    return [shlex.split(line) for line in lines]


def training_pages() -> list[Path]:
    return [page for page in PAGES if any(words[0] == "train" for words in commands(page))]


def test_every_recipe_leads_to_a_model() -> None:
    without = {page.stem for page in PAGES} - {page.stem for page in training_pages()}
    assert without == OTHER_TRAINERS | NO_TRAINING


def post_prompts(api: httpx.Client) -> None:
    """Three responses a prompt, one of the reference policy."""
    api.post("/projects", json={"name": PROJECT, "budget": {"limit": 1000}}).raise_for_status()
    for number, source in enumerate(real_lines("multi-qafeedback-dev")[:PROMPTS]):
        texts = [f"{word} answer, number {number}" for word in ("A good", "A fair", "A poor")]
        responses = [{"text": text, "reference": place == 2} for place, text in enumerate(texts)]
        prompt = {"prompt": source["prompt"], "responses": responses}
        sent = api.post("/prompts", params={"project": PROJECT}, json=prompt)
        assert sent.status_code == 201, sent.text


def answer(pair: dict[str, Any], *, is_tie: bool) -> dict[str, Any]:
    """The better of the two, with an edit; or a tie."""
    if is_tie:
        return {"assignment_id": pair["assignment_id"], "choice": "tie"}
    texts = {side: pair[side]["text"] for side in ("left", "right")}
    better = min(texts, key=lambda side: ("good", "fair", "poor").index(texts[side].split()[1]))
    return {
        "assignment_id": pair["assignment_id"],
        "choice": better,
        "edited": f"{texts[better]}, and more",
    }


def label_all(api: httpx.Client) -> int:
    labels = 0
    while True:
        query: dict[str, str | int] = {"project": PROJECT, "budget": 20, "wait": 10}
        pairs = api.get("/next-pairs", params=query).raise_for_status().json()["pairs"]
        if not pairs:
            return labels
        for pair in pairs:
            body = answer(pair, is_tie=labels < TIES)
            api.post("/labels", json=body).raise_for_status()
            labels += 1


def made_to_run(words: list[str], service: RunningService, model: Path) -> list[str]:
    """The command with this project, this service, the tiny model, and few steps."""
    places = {"helpful-v1": PROJECT, "path/to/your/sft-model": str(model)}
    words = [places.get(word, word) for word in words]
    if words[0] != "train":
        return [*words, "--url", service.url, "--key", service.key]
    more = f"--device cpu --max-steps {STEPS} --batch-size 4 --max-length 4096 --lora-rank 0"
    return [*words, *shlex.split(more)]


def test_the_commands_of_the_pages_train(service: RunningService, tmp_path: Path) -> None:
    with service.client() as api:
        post_prompts(api)

        def is_ready() -> bool:
            counts = api.get(f"/projects/{PROJECT}").raise_for_status().json()["counts"]
            return bool(counts["pending_prompts"] == 0)

        wait_until(is_ready, 1200, "the prompts are embedded and planned", service.log)
        assert label_all(api) >= PROMPTS
    model = tmp_path / "model"
    save_tiny_model(model)
    wanted = [
        made_to_run(words, service, model)
        for page in training_pages()
        for words in commands(page)
        if words[0] != "export" or any(word.endswith("-data") for word in words)
    ]

    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.run_commands"],
        cwd=tmp_path,
        input=json.dumps(wanted),
        env=own_environment(PYTHONPATH=str(REPOSITORY), OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    for page in training_pages():
        (train,) = (words for words in commands(page) if words[0] == "train")
        out = tmp_path / train[train.index("--out") + 1]
        record = json.loads((out / "training.json").read_text())
        assert record["finished"], page
        assert record["wanted"]["data"]["recipe"] == page.stem
        assert record["figures"]["steps"] == STEPS
        assert (out / "model.safetensors").exists()
        assert record["wanted"]["data"]["sha256"] in (out / "README.md").read_text()
