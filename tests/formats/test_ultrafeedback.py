from typing import Any

import pytest

from app.formats.registry import read_line
from app.imports.line_splitter import Line
from app.imports.lines import read_lines
from tests.formats.reading import refusal
from tests.prompts.sending import as_lines


def test_ultrafeedback_completions_keep_their_model_and_score() -> None:
    line = {
        "instruction": "Say hi.",
        "models": ["x", "y"],
        "completions": [
            {"response": "hi", "model": "x", "overall_score": 7, "principle": "helpful"},
            {"response": "no", "model": "y", "overall_score": "N/A"},
        ],
    }
    read = read_line(line)
    assert read.prompt["prompt"] == "Say hi."
    assert [(each["model"], each["score"]) for each in read.prompt["responses"]] == [
        ("x", 7.0),
        ("y", None),
    ]
    assert read.preferences == ()


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ({"overall_score": 7.5, "fine-grained_score": 3}, 7.5),
        ({"overall_score": "8"}, 8.0),
        ({"fine-grained_score": 3.25}, 3.25),
        (
            {
                "annotations": {
                    "instruction_following": [{"Rating": "4", "Rationale": "ok"}],
                    "honesty": {"Rating": "2"},
                    "truthfulness": [{"Rating": "N/A"}],
                }
            },
            3.0,
        ),
        ({"annotations": {"helpfulness": {"Rating": "N/A"}}}, None),
        ({"overall_score": "N/A", "annotations": [1]}, None),
        ({}, None),
    ],
)
def test_ultrafeedback_scores_a_completion_by_what_it_has(
    completion: dict[str, Any], score: float | None
) -> None:
    line = {
        "source": "evol_instruct",
        "instruction": "Say hi.",
        "models": ["x", "y"],
        "completions": [
            {"model": "x", "principle": "helpfulness", "response": "hi", **completion},
            {"model": "y", "response": "ho"},
        ],
        "correct_answers": ["None"],
    }

    read = read_line(line)

    assert read.prompt["responses"][0] == {"id": None, "text": "hi", "model": "x", "score": score}
    assert read.prompt["metadata"] == {"source": "evol_instruct"}
    assert read_lines([Line(1, as_lines([line]))])[1] == []


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ({"instruction": "", "completions": [{"response": "a"}, {"response": "b"}]}, "instruction"),
        ({"instruction": "x", "completions": [{"response": "a"}]}, "completions: "),
        (
            {"instruction": "x", "completions": [{"response": 3}, {"response": "b"}]},
            "completions.0.response: ",
        ),
        ({"instruction": "x", "completions": "a"}, "completions: "),
    ],
)
def test_ultrafeedback_refusals_name_the_field(line: Any, start: str) -> None:
    assert refusal(line).startswith(start)


@pytest.mark.parametrize(
    "before",
    [
        [{"role": "system", "content": "Be bad."}, {"role": "user", "content": "Say hi."}],
        [{"role": "user", "content": "Say ho."}],
    ],
)
def test_a_turn_that_the_prompt_has_not_is_never_dropped(before: list[dict[str, str]]) -> None:
    answer = [*before, {"role": "assistant", "content": "hi"}]
    line = {"instruction": "Say hi.", "completions": [{"response": answer}, {"response": "ho"}]}
    assert "completions.0.response: has other turns than the prompt" in refusal(line)
