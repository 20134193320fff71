from typing import Any

import pytest

from app.errors import InvalidInput
from app.formats.format import Preference
from app.formats.registry import read_line
from tests.formats.reading import refusal


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


def _vote(a: str, b: str, winner: Any, annotator: Any = "ana") -> dict[str, Any]:
    return {"a": a, "b": b, "winner": winner, "annotator": annotator}


def test_votes_name_responses_by_id() -> None:
    line = _multi(_vote("r2", "r0", "a"), _vote("r0", "r1", "tie", None))
    read = read_line(line)
    assert read.prompt["id"] == "p"
    assert read.prompt["metadata"] == {"dataset": "d"}
    assert read.preferences == [Preference((2, 0), 2, "ana"), Preference((0, 1), None, None)]


@pytest.mark.parametrize(
    ("vote", "where"),
    [
        (_vote("r9", "r0", "a"), "preferences.0.a: "),
        (_vote("r0", "r9", "a"), "preferences.0.b: "),
        (_vote("r0", "r1", "r0"), "preferences.0.winner: "),
        (_vote("r0", "r1", "a", ["x"]), "preferences.0.annotator: "),
        (_vote("r0", "r1", "a", "x" * 257), "preferences.0.annotator: "),
        (17, "preferences.0: "),
    ],
)
def test_a_broken_vote_is_refused_by_field(vote: Any, where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_line(_multi(vote))
    assert refused.value.detail.startswith(where)


def test_a_prompt_id_that_is_a_number_is_refused_by_that_name() -> None:
    assert refusal({**_multi(), "prompt_id": 7}).startswith("prompt_id")
