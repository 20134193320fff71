"""Lines of UltraFeedback, PRO, Argilla and Label Studio, as those export them."""

from typing import Any

import pytest

from app.formats.format import Preference
from app.formats.registry import read_line
from app.imports.line_splitter import Line
from app.imports.lines import read_lines
from tests.prompts.sending import as_lines


def _refusal(line: Any) -> str:
    _, (bad,) = read_lines([Line(1, as_lines([line]))])
    return bad.detail


def _texts(line: Any) -> list[Any]:
    return [each["text"] for each in read_line(line).prompt["responses"]]


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

    assert read.prompt["responses"][0] == {"text": "hi", "model": "x", "score": score}
    assert read.prompt["metadata"] == {"source": "evol_instruct"}
    assert read_lines([Line(1, as_lines([line]))])[1] == []


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
    assert _refusal(_pro(**fields)).startswith(start)


def _record(responses: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "record-1",
        "status": "completed",
        "fields": {"prompt": "Why?", "response1": "because", "response2": "why not"},
        "metadata": {},
        "suggestions": {"preference": {"value": "response2", "agent": "a model"}},
        "responses": responses,
        "vectors": {},
        **more,
    }


def test_argilla_labels_name_a_field_by_user() -> None:
    responses = {
        "preference": [
            {"value": "response1", "user_id": "u-1"},
            {"value": "response2", "user_id": "u-2"},
            {"value": "Tie", "user_id": "u-3"},
            {"value": "response2", "user_id": "u-4", "status": "draft"},
        ],
        "why": [{"value": "it is shorter", "user_id": "u-1"}],
    }

    read = read_line(_record(responses))

    assert read.prompt == {
        "id": "record-1",
        "prompt": "Why?",
        "responses": [
            {"id": "response1", "text": "because"},
            {"id": "response2", "text": "why not"},
        ],
    }
    assert read.preferences == [
        Preference((0, 1), 0, "u-1"),
        Preference((0, 1), 1, "u-2"),
        Preference((0, 1), None, "u-3"),
    ]


def test_argilla_rankings_imply_all_their_pairs() -> None:
    fields = {"instruction": "Why?", "a": "x", "b": "y", "c": "z"}
    ranking = [{"value": "b", "rank": 1}, {"value": "a", "rank": 2}, {"value": "c", "rank": 2}]

    read = read_line(_record({"q": [{"value": ranking, "user_id": "u"}]}, fields=fields))

    assert read.preferences == [
        Preference((0, 1), 1, "u"),
        Preference((0, 2), None, "u"),
        Preference((1, 2), 1, "u"),
    ]


def test_argilla_1_lists_answers_by_user() -> None:
    responses = [
        {
            "user_id": "u-1",
            "status": "submitted",
            "values": {"choose": {"value": [{"value": "response2", "rank": 1},
                                            {"value": "response1", "rank": 2}]}},
        },
        {"user_id": "u-2", "status": "discarded", "values": {"choose": {"value": "response1"}}},
    ]  # fmt: skip

    assert read_line(_record(responses)).preferences == [Preference((0, 1), 1, "u-1")]


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"text": "x", "a": "1", "b": "2"}, "fields: "),
        ({"prompt": "x", "a": "1"}, "fields: "),
        ({"prompt": "", "a": "1", "b": "2"}, "fields.prompt: "),
        ("x", "fields: "),
    ],
)
def test_argilla_refusals_name_the_field(fields: Any, start: str) -> None:
    assert _refusal(_record({}, fields=fields)).startswith(start)


def _task(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "data": {"prompt": "Why?", "answer1": "because", "answer2": "why not"},
        "annotations": [
            {"id": 10 + number, "completed_by": 1 + number, "result": [result]}
            for number, result in enumerate(results)
        ],
        "predictions": [{"result": [_pairwise("right")]}],
        **more,
    }


def _pairwise(selected: str, to_name: str = "answer1,answer2") -> dict[str, Any]:
    return {
        "from_name": "comparison",
        "to_name": to_name,
        "type": "pairwise",
        "value": {"selected": selected},
    }


def test_label_studio_sides_are_the_objects_compared() -> None:
    task = _task(
        _pairwise("left"), _pairwise("right"), _pairwise("left", "answer2,answer1"),
        {"type": "textarea", "value": {"text": ["because it is"]}},
    )  # fmt: skip

    read = read_line(task)

    assert _texts(task) == ["because", "why not"]
    assert read.preferences == [
        Preference((0, 1), 0, "1"),
        Preference((0, 1), 1, "2"),
        Preference((1, 0), 1, "3"),
    ]


def test_label_studio_cancelled_annotations_are_no_labels() -> None:
    task = _task(_pairwise("left"))
    task["annotations"][0] |= {"was_cancelled": True}

    assert read_line(task).preferences == []


def test_label_studio_people_are_known_by_their_address() -> None:
    task = _task(_pairwise("left"))
    task["annotations"][0]["completed_by"] = {"id": 1, "email": "ana@example.org"}

    assert [each.annotator for each in read_line(task).preferences] == ["ana@example.org"]


def test_label_studio_rankers_imply_all_their_pairs() -> None:
    items = [{"id": f"i{number}", "title": "t", "body": f"text {number}"} for number in range(3)]
    ranker = {"type": "ranker", "value": {"ranker": {"_": [], "rank": ["i2", "i0", "i1"]}}}
    task = _task(ranker, data={"prompt": "Why?", "items": items})

    assert _texts(task) == ["text 0", "text 1", "text 2"]
    assert read_line(task).preferences == [
        Preference((0, 1), 0, "1"),
        Preference((0, 2), 2, "1"),
        Preference((1, 2), 2, "1"),
    ]


@pytest.mark.parametrize(
    ("more", "start"),
    [
        ({"data": {"text": "x"}}, "data: "),
        ({"data": {"prompt": "x", "answer1": "a"}}, "data: "),
        ({"data": 1}, "data: "),
        ({"annotations": {}}, "annotations: "),
        ({"annotations": [1]}, "annotations.0: "),
        ({"annotations": [{"completed_by": [], "result": []}]}, "annotations.0.completed_by: "),
    ],
)
def test_label_studio_refusals_name_the_field(more: dict[str, Any], start: str) -> None:
    assert _refusal(_task(**more)).startswith(start)
