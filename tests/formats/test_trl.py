from typing import Any

import pytest

from tests.formats.reading import prompt_and_texts, refusal

_ASKED = {"role": "user", "content": "2+2?"}


def _answered(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_trl_strings_are_taken_exactly() -> None:
    line = {"prompt": " 2+2? ", "chosen": " 4\n", "rejected": "5 ", "extra": [1]}
    assert prompt_and_texts(line) == (" 2+2? ", [" 4\n", "5 "])


@pytest.mark.parametrize(
    ("line", "content"),
    [
        ({"prompt": [_ASKED], "chosen": [_answered("4")], "rejected": [_answered("5")]}, [_ASKED]),
        (
            {"chosen": [_ASKED, _answered("4")], "rejected": [_ASKED, _answered("5")]},
            [_ASKED],
        ),
        (
            {
                "prompt": "2+2?",
                "chosen": [_ASKED, _answered("4")],
                "rejected": [_ASKED, _answered("5")],
            },
            "2+2?",
        ),
        (
            {
                "prompt": "2+2?",
                "chosen": [{"role": "system", "content": "s"}, _ASKED, _answered("4")],
                "rejected": [{"role": "system", "content": "s"}, _ASKED, _answered("5")],
            },
            [{"role": "system", "content": "s"}, _ASKED],
        ),
        (
            {"prompt": "2+2?", "chosen": [_answered("4")], "rejected": [_answered("5")]},
            "2+2?",
        ),
    ],
)
def test_trl_prompts_stand_beside_or_inside_the_completions(line: Any, content: Any) -> None:
    found, texts = prompt_and_texts(line)
    assert found == content
    assert [text.strip() for text in texts] == ["4", "5"]


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ({"chosen": "abc", "rejected": "xyz"}, "prompt: "),
        ({"chosen": "2+2? 4", "rejected": "2+2? 5"}, "prompt: missing"),
        ({"prompt": "x", "chosen": "same", "rejected": "same"}, "chosen, rejected: "),
        ({"prompt": "x", "chosen": "", "rejected": "b"}, "chosen, rejected: "),
        ({"prompt": "x", "chosen": 4, "rejected": "b"}, "chosen: "),
        ({"prompt": "x", "chosen": "a" * 100_001, "rejected": "b"}, "chosen: "),
        ({"chosen": [_ASKED], "rejected": [_ASKED]}, "chosen: must end"),
        ({"chosen": [], "rejected": []}, "prompt: missing"),
        (
            {"chosen": [_ASKED, _answered("4")], "rejected": [_answered("5")]},
            "chosen, rejected: ",
        ),
        (
            {
                "prompt": "3+3?",
                "chosen": [_ASKED, _answered("4")],
                "rejected": [_ASKED, _answered("5")],
            },
            "prompt: ",
        ),
        ({"prompt": [_answered("x")], "chosen": "a", "rejected": "b"}, "prompt: "),
    ],
)
def test_trl_refusals_name_the_field(line: Any, start: str) -> None:
    assert refusal(line).startswith(start)
