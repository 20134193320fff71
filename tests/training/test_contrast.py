"""DLMA's log-probabilities under a good and a bad prompt."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from app.errors import CommandFailed
from app.exports.recipes.contrastive import LOG_PROBABILITIES
from app.training.contrast import HARMLESS, HELPFUL, contrast_metadata, own_contrast

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about much that is not ours


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> tuple[Any, Any]:
    model = LlamaForCausalLM.from_pretrained(tiny_model).eval()
    return model, AutoTokenizer.from_pretrained(tiny_model)


def by_hand(model: Any, tokenizer: Any, before: str, response: str) -> float:
    """The log-probability of the response's tokens, one row alone."""
    ids = tokenizer(before + response)["input_ids"]
    start = len(tokenizer(before)["input_ids"])
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double().log_softmax(1)
    return float(sum(logits[place - 1, ids[place]] for place in range(start, len(ids))))


def test_the_response_is_scored_behind_the_authors_prompts(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    asked = [("Explain DPO.", "It trains."), ("Hello?", "A longer response, of more tokens.")]
    found = contrast_metadata(model, tokenizer, HARMLESS, asked, max_length=500)
    for (prompt, response), numbers in zip(asked, found, strict=True):
        assert numbers is not None
        good = f"USER: {prompt}\nASSISTANT(law-abiding, ethical, inoffensive response):\n"
        bad = f"USER: {prompt}\nASSISTANT(illegal, unethical, toxic response):\n"
        wanted = [by_hand(model, tokenizer, before, response) for before in (good, bad)]
        assert [numbers[key] for key in LOG_PROBABILITIES] == pytest.approx(wanted, rel=1e-4)
        assert numbers["logprob_safe"] != numbers["logprob_unsafe"]


def test_a_chat_stands_in_the_place_of_the_prompt(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    one = [{"role": "user", "content": "Explain DPO."}]
    many = [{"role": "system", "content": "Be brief."}, *one]
    as_text = "system: Be brief.\n\nuser: Explain DPO."
    asked = [(prompt, "It trains.") for prompt in ("Explain DPO.", one, as_text, many)]
    first, second, third, fourth = contrast_metadata(
        model, tokenizer, HELPFUL, asked, max_length=500
    )
    assert first == pytest.approx(second)
    assert third == pytest.approx(fourth)


def test_braces_in_a_prompt_are_left_alone(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    (found,) = contrast_metadata(
        model, tokenizer, own_contrast("Good: {}", "Bad: {}"), [("f'{x}' {}", "y")], max_length=99
    )
    assert found is not None
    assert found["logprob_safe"] == pytest.approx(
        by_hand(model, tokenizer, "Good: f'{x}' {}", "y"), rel=1e-4
    )


def test_what_is_too_long_is_left_out(loaded: tuple[Any, Any]) -> None:
    asked = [("Short?", "Yes."), ("Long?", "no " * 100), ("Short?", "No.")]
    found = contrast_metadata(*loaded, HARMLESS, asked, max_length=120)
    assert [each is None for each in found] == [False, True, False]


@pytest.mark.parametrize("text", ["nothing", "{} and {}"])
def test_ones_own_prompts_have_one_place(text: str) -> None:
    with pytest.raises(CommandFailed, match=r"--bad must have \{\} once"):
        own_contrast("Good: {}", text)
    with pytest.raises(CommandFailed, match=r"--good must have \{\} once"):
        own_contrast(text, "Bad: {}")


def test_other_prompts_have_another_name() -> None:
    names = {own_contrast(f"{text}{{}}", "Bad: {}").name for text in "abc"}
    assert len(names) == 3
    assert own_contrast("a{}", "b{}").name == own_contrast("a{}", "b{}").name
