from typing import Any

import pytest

from app.formats.format import Preference
from app.formats.registry import read_line
from tests.formats.reading import refusal

PREFIX = ["<|prompter|>Why?", "<|assistant|>"]


def _pro(**fields: Any) -> dict[str, Any]:
    return {
        "meta": {"source": 1},
        "prefix": [PREFIX] * 3,
        "suffix": ["best", "worst", "second"],
        "reward": [1.5, -2.0, 0.5],
        "sft_index": 0,
        **fields,
    }


def test_pro_rewards_are_scores_and_preferences() -> None:
    read = read_line(_pro())

    assert read.prompt["prompt"] == "Why?"
    assert [(each["text"], each["score"]) for each in read.prompt["responses"]] == [
        ("best", 1.5),
        ("worst", -2.0),
        ("second", 0.5),
    ]
    assert read.preferences == [
        Preference((0, 1), 0),
        Preference((0, 2), 0),
        Preference((1, 2), 2),
    ]


def test_pro_equal_rewards_are_a_tie() -> None:
    read = read_line(_pro(reward=[1.0, 1.0, 0.0]))

    assert [each.preferred for each in read.preferences] == [None, 0, 1]


def test_pro_turns_become_messages() -> None:
    prefix = ["<|prompter|>Hi", "<|assistant|>Hello.", "<|prompter|>Why?", "<|assistant|>"]

    read = read_line(_pro(prefix=[prefix] * 3))

    assert read.prompt["prompt"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Why?"},
    ]


def test_pro_strings_are_prompts_too() -> None:
    prefix = "POST: long\nTL;DR:"

    assert read_line(_pro(prefix=[prefix] * 3)).prompt["prompt"] == prefix


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"reward": [1, 2]}, "prefix, suffix, reward: "),
        ({"reward": "x"}, "prefix, suffix, reward: "),
        ({"reward": [1, 2, "x"]}, "reward.2: "),
        ({"prefix": [PREFIX, PREFIX, ["other"]]}, "prefix: "),
        ({"prefix": [[1]] * 3}, "prefix: "),
        ({"suffix": ["a", 2, "c"]}, "suffix.1: "),
        ({"prefix": [], "suffix": [], "reward": []}, "prefix, suffix, reward: "),
    ],
)
def test_pro_refusals_name_the_field(fields: dict[str, Any], start: str) -> None:
    assert refusal(_pro(**fields)).startswith(start)
