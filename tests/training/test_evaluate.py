"""Figures of a trained model on held-out pairs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, LlamaForCausalLM, LlamaForSequenceClassification

from app.training.evaluate import estimate
from app.training.scoring import log_probabilities, reward_scores
from app.training.tokens import tokenise
from tests.training.command import command
from tests.training.exported import TEST_ROWS, pair_rows, write_folder

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about much that is not ours


def figures(model: Path, reference: Path, data: Path, *more: object) -> dict[str, Any]:
    """What `evaluate` writes down."""
    out = data.parent / "figures.json"
    options = ["--model", model, "--reference", reference, "--data", data, "--json", out]
    assert command("evaluate", *options, *more) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_a_trained_model_prefers_what_annotators_chose(tiny_model: Path, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", "dpo")
    steps = [
        "--device",
        "cpu",
        "--batch-size",
        "8",
        "--learning-rate",
        "3e-3",
        "--epochs",
        "6",
        "--warmup",
        "0",
    ]
    where = ["--data", data, "--model", tiny_model, "--out", tmp_path / "out"]
    assert command("train", "dpo", *where, *steps) == 0

    same = figures(tiny_model, tiny_model, data)
    assert same["accuracy"] == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert same["margin"]["mean"] == 0

    found = figures(tmp_path / "out", tiny_model, data)
    assert (found["pairs"], found["prompts"]) == (TEST_ROWS, TEST_ROWS)
    assert found["accuracy"]["mean"] == 1
    assert 0 < found["margin"]["low"] <= found["margin"]["mean"] <= found["margin"]["high"]
    assert found["win_rate"] is None
    trained = json.loads((tmp_path / "out" / "training.json").read_text())["figures"]
    # The trainer's own figure on the same split, at the same β.
    margin = trained["eval_rewards/margins"]
    assert found["margin"]["mean"] == pytest.approx(margin, rel=1e-3)


def test_a_reward_model_judges_the_answers_of_both(tiny_model: Path, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", "dpo", chat=True)
    judge = tmp_path / "judge"
    LlamaForSequenceClassification.from_pretrained(tiny_model, num_labels=1).save_pretrained(judge)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(judge)

    found = figures(tiny_model, tiny_model, data, "--reward-model", judge, "--new-tokens", 5)

    assert found["win_rate"]["mean"] == 0.5  # greedy answers of one model are the same


def test_log_probabilities_do_not_depend_on_padding(tiny_model: Path) -> None:
    model = LlamaForCausalLM.from_pretrained(tiny_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    rows = [
        tokenise(tokenizer, row["prompt"], row["chosen"] + " more" * place)
        for place, row in enumerate(pair_rows(0, 9, chat=False))
    ]
    together = log_probabilities(model, rows)
    alone = np.concatenate([log_probabilities(model, [row]) for row in rows])
    assert together == pytest.approx(alone, abs=1e-3)
    assert (together < 0).all()


def test_a_score_is_that_of_the_last_token_and_not_of_padding(tiny_model: Path) -> None:
    model = LlamaForSequenceClassification.from_pretrained(tiny_model, num_labels=1).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    rows = [tokenise(tokenizer, "Question?", " word" * count) for count in (1, 3, 9)]
    alone = np.concatenate([reward_scores(model, [row]) for row in rows])
    assert reward_scores(model, rows) == pytest.approx(alone, abs=1e-4)


def test_an_interval_draws_whole_prompts() -> None:
    values = np.array([1.0] * 50 + [0.0] * 50)
    one_each = estimate(values, list(range(100)), 0)
    two_prompts = estimate(values, [0] * 50 + [1] * 50, 0)
    assert one_each.mean == two_prompts.mean == 0.5
    assert 0.38 < one_each.low < one_each.high < 0.62
    assert (two_prompts.low, two_prompts.high) == (0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--split", "dev"), "has no split `dev`; it has: train, test"),
        (("--model", "/nowhere"), "/nowhere"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    change: tuple[str, str],
    message: str,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write_folder(tmp_path / "data", "dpo")
    options = {"--model": tiny_model, "--reference": tiny_model, "--data": data} | dict([change])
    assert command("evaluate", *[word for pair in options.items() for word in pair]) == 1
    assert message in capsys.readouterr().err
