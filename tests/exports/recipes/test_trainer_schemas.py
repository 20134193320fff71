"""Rows of the trainers that are no test dependency, against the schemas that they document."""

from typing import Any

import pytest

from app.exports.recipe import Layout, PairRecipe
from app.exports.recipes import RECIPES
from tests.exports.preferred import preferred_pair

PROMPTS: list[Any] = [
    "Explain DPO.",
    [{"role": "user", "content": "Explain DPO."}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "tool", "content": "42"},
        {"role": "user", "content": "And now?"},
    ],
    [{"role": "assistant", "content": "Hi, I am here."}, {"role": "user", "content": "Why?"}],
    [{"role": "user", "content": "One."}, {"role": "user", "content": "Two."}],
]
every_prompt = pytest.mark.parametrize("prompt", PROMPTS)


def _row(recipe: str, prompt: Any, layout: Layout = Layout.STANDARD) -> dict[str, Any]:
    found = RECIPES[recipe]
    assert isinstance(found, PairRecipe)
    (row,) = found.rows(preferred_pair(prompt, margin=1.0), layout)
    return row


@every_prompt
def test_llama_factory_takes_sharegpt_turns_in_which_speakers_alternate(prompt: Any) -> None:
    """Its `ranking` converter: human or observation at even places, gpt or function_call at odd,
    an odd number of turns after a system turn that may come first; one turn chosen and rejected."""
    row = _row("llama-factory", prompt)

    speakers = [turn["from"] for turn in row["conversations"]]
    if speakers[0] == "system":
        speakers.pop(0)
    assert len(speakers) % 2 == 1
    assert {"human", "observation"} >= set(speakers[::2])
    assert {"gpt", "function_call"} >= set(speakers[1::2])
    for turn in (*row["conversations"], row["chosen"], row["rejected"]):
        assert set(turn) == {"from", "value"}
        assert isinstance(turn["value"], str)
    assert [row["chosen"]["from"], row["rejected"]["from"]] == ["gpt", "gpt"]
    assert row["chosen"]["value"] != row["rejected"]["value"]


def test_llama_factory_loses_no_turn() -> None:
    row = _row("llama-factory", PROMPTS[2])

    assert row["conversations"] == [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Hello"},
        {"from": "gpt", "value": "Hi"},
        {"from": "observation", "value": "42\n\nAnd now?"},
    ]


@every_prompt
def test_axolotl_takes_messages_and_one_message_each(prompt: Any) -> None:
    """Its `chat_template.default` for DPO, with the default names of fields and roles."""
    row = _row("axolotl", prompt)

    assert list(row) == ["messages", "chosen", "rejected"]
    for message in (*row["messages"], row["chosen"], row["rejected"]):
        assert set(message) == {"role", "content"}
        assert message["role"] in {"system", "user", "assistant", "tool"}
    assert row["messages"][-1]["role"] == "user"
    assert [row["chosen"]["role"], row["rejected"]["role"]] == ["assistant", "assistant"]


@every_prompt
def test_openrlhf_joins_prompt_and_completion_lists_for_its_chat_template(prompt: Any) -> None:
    """Its `RewardDataset` with `--apply_chat_template` renders prompt + chosen, and cuts the
    rendered prompt off; without it, the columns are strings. `margin` is a number."""
    row = _row("openrlhf", prompt, Layout.CONVERSATIONAL)

    for side in ("chosen", "rejected"):
        turns = row["prompt"] + row[side]
        assert all(set(turn) == {"role", "content"} for turn in turns)
        assert [turn["role"] for turn in turns][-2:] == ["user", "assistant"]
    assert isinstance(row["margin"], float)
    plain = _row("openrlhf", prompt)
    assert all(isinstance(plain[name], str) for name in ("prompt", "chosen", "rejected"))
