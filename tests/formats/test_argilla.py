from typing import Any

import pytest

from app.formats.format import Preference
from app.formats.registry import read_line
from tests.formats.reading import refusal


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
        "metadata": {},
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


@pytest.mark.parametrize("name", [["response1"], "response9", "prompt"])
def test_a_rank_of_something_that_is_no_response_is_refused(name: Any) -> None:
    ranking = [{"value": name, "rank": 1}, {"value": "response2", "rank": 2}]

    detail = refusal(_record({"q": [{"value": ranking, "user_id": "u"}]}))

    assert detail.startswith("responses.q.0: ranks something that is no response")


def test_argilla_candidates_are_what_the_answers_name_and_their_family() -> None:
    fields = {"prompt": "Why?", "source": "wiki", "answer_1": "x", "answer_2": "y"}

    read = read_line(_record({"q": [{"value": "answer_2", "user_id": "u"}]}, fields=fields))

    assert [each["id"] for each in read.prompt["responses"]] == ["answer_1", "answer_2"]
    assert read.preferences == [Preference((0, 1), 1, "u")]
    assert read.left_out == ["fields.source"]


def test_argilla_candidates_that_are_not_sure_are_refused() -> None:
    fields = {"prompt": "Why?", "source": "wiki", "llama": "x", "gpt": "y"}

    detail = refusal(_record({"q": [{"value": "gpt", "user_id": "u"}]}, fields=fields))

    assert detail.startswith("fields: which columns hold the responses is not sure")


def test_a_label_of_another_question_is_no_tie() -> None:
    responses = {
        "preference": [{"value": "response1", "user_id": "u"}],
        "language": [{"value": "same", "user_id": "u"}],
    }

    assert read_line(_record(responses)).preferences == [Preference((0, 1), 0, "u")]


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
    assert refusal(_record({}, fields=fields)).startswith(start)
