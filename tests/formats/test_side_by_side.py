from typing import Any

import pytest

from app.formats.format import Preference
from app.formats.registry import read_line
from tests.formats.reading import refusal


def _row(one: str = "response_a", other: str = "response_b", **columns: Any) -> dict[str, Any]:
    return {"prompt": "Why?", one: "because", other: "why not", **columns}


@pytest.mark.parametrize(
    ("one", "other"),
    [("response_a", "response_b"), ("response_1", "response_2"), ("response1", "response2")],
)
@pytest.mark.parametrize("asked", ["prompt", "instruction", "question", "input"])
def test_responses_stand_side_by_side(one: str, other: str, asked: str) -> None:
    read = read_line({asked: "Why?", one: "because", other: "why not", "note": [1]})

    assert read.prompt["prompt"] == "Why?"
    assert [each["text"] for each in read.prompt["responses"]] == ["because", "why not"]
    assert read.preferences == []


@pytest.mark.parametrize(
    ("winner", "preferred"),
    [("a", 0), ("B", 1), ("response_b", 1), ("model_a", 0), (" A ", 0), ("tie", None)],
)
def test_a_winner_is_told_by_its_letter_or_column(winner: Any, preferred: int | None) -> None:
    assert read_line(_row(winner=winner)).preferences == [Preference((0, 1), preferred)]


@pytest.mark.parametrize(("winner", "preferred"), [(1, 0), ("2", 1), ("response_2", 1)])
def test_a_winner_is_told_by_its_number(winner: Any, preferred: int) -> None:
    row = _row("response_1", "response_2", winner=winner)

    assert read_line(row).preferences == [Preference((0, 1), preferred)]


@pytest.mark.parametrize("winner", ["both_bad", "tie (bothbad)"])
def test_both_can_be_bad(winner: str) -> None:
    read = read_line(_row(winner=winner, annotator="ana"))

    assert read.preferences == [Preference((0, 1), None, "ana", both_bad=True)]


@pytest.mark.parametrize("winner", [None, ""])
def test_without_a_winner_there_is_no_preference(winner: str | None) -> None:
    assert read_line(_row(winner=winner)).preferences == []


def test_a_row_may_have_an_id_models_a_strength_and_an_annotator() -> None:
    read = read_line(_row(id=7, model_a="m", winner="b", strength="3", annotator="bob"))

    assert read.prompt["id"] == "7"
    assert [each["model"] for each in read.prompt["responses"]] == ["m", None]
    assert read.preferences == [Preference((0, 1), 1, "bob", strength=3)]


@pytest.mark.parametrize(
    ("columns", "detail"),
    [
        ({"winner": "c"}, "winner: must be a, b, tie or both_bad"),
        ({"winner": "a", "strength": 4}, "strength: must be 1, 2 or 3"),
        ({"winner": "tie", "strength": 1}, "strength: only for a vote that prefers one response"),
        ({"winner": "a", "annotator": []}, "annotator: "),
        ({"response_a": 3}, "response_a: "),
        ({"response_a": " "}, "response_a, response_b: fewer than two responses"),
        ({"prompt": ""}, "prompt: "),
        ({"model_b": 3}, "model_b: "),
    ],
)
def test_a_refusal_names_the_column(columns: dict[str, Any], detail: str) -> None:
    assert refusal(_row(**columns)).startswith(detail)


def test_a_row_without_a_prompt_is_refused() -> None:
    row = _row()
    del row["prompt"]

    assert refusal(row).startswith("no prompt")
