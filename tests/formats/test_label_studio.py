from typing import Any

import pytest

from app.formats.format import Preference
from app.formats.registry import read_line
from tests.formats.reading import prompt_and_texts, refusal


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

    assert prompt_and_texts(task)[1] == ["because", "why not"]
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

    assert prompt_and_texts(task)[1] == ["text 0", "text 1", "text 2"]
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
    assert refusal(_task(**more)).startswith(start)


def test_label_studio_sides_are_found_by_their_names() -> None:
    task = _task(
        _pairwise("left", "text1, text2"),
        data={"source": "wiki", "prompt": "Why?", "text_2": "bad", "Text_1": "good"},
    )

    read = read_line(task)

    assert prompt_and_texts(task)[1] == ["bad", "good"]
    assert read.preferences == [Preference((1, 0), 1, "1")]
    assert read.left_out == ["data.source"]


@pytest.mark.parametrize(
    "to_name", ["", "answer1", "answer1,answer9", "answer1,answer1", "answer1,answer2,prompt"]
)
def test_label_studio_sides_that_are_not_sure_are_refused(to_name: str) -> None:
    detail = refusal(_task(_pairwise("left", to_name)))

    assert detail.startswith("annotations.0.result.0.to_name: must name two columns")


def test_a_name_that_two_columns_resemble_is_refused() -> None:
    data = {"prompt": "Why?", "text_1": "x", "text-1": "y", "text2": "z"}

    assert "to_name" in refusal(_task(_pairwise("left", "text1,text2"), data=data))


def test_only_a_tie_is_a_tie() -> None:
    assert read_line(_task(_pairwise("tie"))).preferences == [Preference((0, 1), None, "1")]
    assert "selected: must be" in refusal(_task(_pairwise("unsure")))


@pytest.mark.parametrize(
    "ranker",
    [
        {"good": ["i0", "i1"], "bad": ["i2", "i1"]},
        {"rank": ["i0", "i9"]},
        {"rank": ["i0", "i0"]},
    ],
)
def test_label_studio_rankings_that_are_not_sure_are_refused(ranker: Any) -> None:
    items = [{"id": f"i{number}", "body": f"text {number}"} for number in range(3)]
    result = {"type": "ranker", "value": {"ranker": ranker}}

    detail = refusal(_task(result, data={"prompt": "Why?", "items": items}))

    assert detail.startswith("annotations.0.result.0.value.ranker: ")
