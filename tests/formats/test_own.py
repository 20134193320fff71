from typing import Any

import pytest

from app.errors import InvalidInput
from app.formats.format import Preference
from app.formats.registry import read_line
from tests.formats.reading import refusal
from tests.prompts.sending import prompt


def _multi(*preferences: Any, texts: tuple[str, ...] = ("a", "b", "c")) -> dict[str, Any]:
    responses = [
        {"id": f"r{number}", "text": text, "style": "x"} for number, text in enumerate(texts)
    ]
    return {
        "dataset": "d",
        "prompt_id": "p",
        "prompt": "x",
        "responses": responses,
        "preferences": list(preferences),
    }


def _vote(a: Any, b: Any, winner: Any, annotator: Any = "ana") -> dict[str, Any]:
    return {"a": a, "b": b, "winner": winner, "annotator": annotator}


def test_own_form_is_taken_whole() -> None:
    sent = prompt("a", "b", id="p", metadata={"k": 1}, embedding=[1.0, 2.0])
    sent["responses"][0] |= {
        "id": "r0",
        "score": 0.5,
        "model": "m",
        "reference": True,
        "metadata": {"logprob_safe": -1.5},
        "embedding": [1.0, 0.0],
    }

    read = read_line(sent)

    assert read.prompt["responses"][0] == sent["responses"][0]
    assert {name: read.prompt[name] for name in sent if name != "responses"} == {
        name: value for name, value in sent.items() if name != "responses"
    }
    assert read.left_out == ()
    assert read.no_label == "the line has no `preferences`"


def test_columns_that_nobody_knows_are_told_by_name() -> None:
    read = read_line({**_multi(), "tree_id": 7, "empty": "", "null": None})

    assert read.left_out == ["responses.style", "tree_id"]


def test_columns_that_nobody_knows_are_kept_as_metadata_on_request() -> None:
    read = read_line({**_multi(), "tree_id": 7}, keep_extra=True)

    assert read.prompt["metadata"] == {
        "dataset": "d",
        "responses.style": ["x", "x", "x"],
        "tree_id": 7,
    }


def test_a_column_is_not_kept_over_a_field_of_the_metadata() -> None:
    line = {**prompt("a", "b", metadata={"tree_id": 6}), "tree_id": 7}

    with pytest.raises(InvalidInput, match=r"^tree_id: `metadata` has a field of that name"):
        read_line(line, keep_extra=True)


@pytest.mark.parametrize(
    ("given", "kept"), [(5, "5"), (5.0, "5"), (5.5, "5.5"), (True, "true"), ("x", "x"), ("", None)]
)
def test_ids_are_strings_whatever_they_were(given: Any, kept: str | None) -> None:
    line = _multi(_vote(given, "r1", "a", given)) if kept is not None else _multi()
    line["prompt_id"] = line["responses"][0]["id"] = given

    read = read_line(line)

    assert read.prompt["id"] == kept
    assert read.prompt["responses"][0]["id"] == kept
    assert [each.annotator for each in read.preferences] == ([kept] if kept else [])


def test_votes_name_responses_by_id() -> None:
    line = _multi(_vote("r2", "r0", "a"), _vote("r0", "r1", "tie", None))
    read = read_line(line)
    assert read.prompt["id"] == "p"
    assert read.prompt["metadata"] == {"dataset": "d"}
    assert read.preferences == [Preference((2, 0), 2, "ana"), Preference((0, 1), None, None)]


@pytest.mark.parametrize(("strength", "kept"), [(2, 2), (2.0, 2), ("2", 2), ("2.0", 2), ("", None)])
def test_a_strength_is_a_number_however_it_is_written(strength: Any, kept: int | None) -> None:
    read = read_line(_multi(_vote("r0", "r1", "a") | {"strength": strength}))

    assert [each.strength for each in read.preferences] == [kept]


@pytest.mark.parametrize(
    ("vote", "where"),
    [
        (_vote("r9", "r0", "a"), "preferences.0.a: "),
        (_vote("r0", "r9", "a"), "preferences.0.b: "),
        (_vote("r0", "r1", "r0"), "preferences.0.winner: "),
        (_vote("r0", "r1", ["a"]), "preferences.0.winner: "),
        (_vote("r0", "r1", "a", ["x"]), "preferences.0.annotator: "),
        (_vote("r0", "r1", "a", "x" * 257), "preferences.0.annotator: "),
        (_vote("r0", "r1", "a") | {"strength": 4}, "preferences.0.strength: "),
        (17, "preferences.0: "),
    ],
)
def test_a_broken_vote_is_refused_by_field(vote: Any, where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_line(_multi(vote))
    assert refused.value.detail.startswith(where)


@pytest.mark.parametrize(
    ("more", "start"),
    [
        ({"prompt_id": [7]}, "prompt_id: "),
        ({"prompt_id": "x" * 257}, "prompt_id: "),
        ({"metadata": "x"}, "metadata: "),
        ({"responses": 1}, "responses: must be a list"),
        ({"responses": [{"text": "a", "image": "a.png"}, {"text": "b"}]}, "responses.0.image: "),
        ({"responses": [{"text": "a", "score": "x"}, {"text": "b"}]}, "responses.0.score: "),
        ({"responses": [{"text": 1}, {"text": "b"}]}, "responses.0.text: "),
    ],
)
def test_own_refusals_name_the_field(more: dict[str, Any], start: str) -> None:
    assert refusal({**_multi(), **more}).startswith(start)
