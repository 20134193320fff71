from typing import Any

import pytest

from app.formats.format import Preference
from app.formats.registry import read_line
from tests.formats.reading import prompt_and_texts, refusal


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
    read = read_line(_row(winner=winner))

    assert read.preferences == []
    assert read.no_label == "`winner` is empty"


def test_a_winner_may_be_named_by_its_model() -> None:
    read = read_line(_row(winner="GPT 5", model_a="llama", model_b="GPT 5"))

    assert read.preferences == [Preference((0, 1), 1)]


@pytest.mark.parametrize(
    ("hot", "preferred"),
    [((1, 0, 0), 0), ((0, 1, 0), 1), (("0", "1", "0"), 1), ((0.0, 0.0, 1.0), None)],
)
def test_a_winner_is_told_by_three_columns(hot: tuple[Any, ...], preferred: int | None) -> None:
    names = ("winner_model_a", "winner_model_b", "winner_tie")

    read = read_line(_row(**dict(zip(names, hot, strict=True))))

    assert read.preferences == [Preference((0, 1), preferred)]


def test_turns_of_an_arena_that_are_alike_are_the_prompt() -> None:
    line = {
        "prompt": '["Hi", "And now?"]',
        "response_a": '["Hello.", "x"]',
        "response_b": '["Hello.", "y"]',
    }

    assert prompt_and_texts(line) == (
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "And now?"},
        ],
        ["x", "y"],
    )
    other = {**line, "response_b": '["Go away.", "y"]'}
    assert refusal(other).startswith("response_a, response_b: the dialogues diverge")


def test_a_prompt_that_is_a_list_stays_text_beside_plain_answers() -> None:
    assert prompt_and_texts(_row(prompt='["q"]'))[0] == '["q"]'


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
        ({"model_b": [3]}, "model_b: "),
        ({"response_c": "x"}, "response_c: only two responses"),
        ({"response_1": "x", "response_2": "y"}, "response_a, response_b, response_1, response_2"),
        ({"winner_model_a": 1, "winner_model_b": 1, "winner_tie": 0}, "winner_model_a, "),
        ({"winner_model_a": 0, "winner_model_b": 0, "winner_tie": 0}, "winner_model_a, "),
        ({"winner_model_a": 2, "winner_model_b": 0, "winner_tie": 0}, "winner_model_a: "),
        ({"winner": "m", "model_a": "m", "model_b": "m"}, "winner: "),
        ({"winner": "b", "model_a": "b", "model_b": "m"}, "winner: "),
    ],
)
def test_a_refusal_names_the_column(columns: dict[str, Any], detail: str) -> None:
    assert refusal(_row(**columns)).startswith(detail)


def test_a_row_without_a_prompt_is_refused() -> None:
    row = _row()
    del row["prompt"]

    assert refusal(row).startswith("prompt: missing")
