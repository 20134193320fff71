from typing import Any

import pytest

from app.errors import InvalidInput
from app.formats.registry import FORMATS, find_format, read_line
from app.formats.row import Row
from tests.formats.reading import refusal

_KEYS: dict[str, Any] = {
    "fields": {"prompt": "?", "a": "x", "b": "y"},
    "prompt": "?",
    "responses": [{"id": "r0", "text": "x"}, {"id": "r1", "text": "y"}],
    "preferences": [],
    "prompt_id": "p",
    "dataset": "d",
    "instruction": "?",
    "completions": [{"response": "x"}, {"response": "y"}],
    "prefix": ["?", "?"],
    "suffix": ["x", "y"],
    "reward": [1, 0],
    "data": {"prompt": "?", "a": "x", "b": "y"},
    "annotations": [],
    "chosen": "? x",
    "rejected": "? y",
    "response_a": "x",
    "response_b": "y",
}
_TRANSCRIPTS = {
    side: f"\n\nHuman: Hi\n\nAssistant: {text}"
    for side, text in (("chosen", "x"), ("rejected", "y"))
}


@pytest.mark.parametrize(
    ("keys", "more", "expected"),
    [
        # Argilla's records have `responses` too, but never a `prompt` beside `fields`.
        ("fields responses preferences", {}, "argilla"),
        ("fields chosen rejected", {}, "argilla"),
        ("fields prompt responses", {}, "own"),
        ("fields prompt chosen rejected", {}, "trl"),
        ("prompt responses", {}, "own"),
        ("prompt responses preferences", {}, "own"),
        ("prompt responses prompt_id", {}, "own"),
        ("prompt responses dataset", {}, "own"),
        ("responses", {"preferences": None}, "own"),
        # `responses` win over the columns of all other formats.
        ("prompt responses instruction completions", {}, "own"),
        ("prompt responses chosen rejected", {}, "own"),
        ("responses dataset data annotations", {}, "own"),
        # Then: UltraFeedback, PRO, Label Studio, chosen and rejected, side by side.
        ("instruction completions prefix suffix reward data annotations", {}, "ultrafeedback"),
        ("completions prefix suffix reward data annotations chosen rejected", {}, "pro"),
        ("instruction data annotations chosen rejected", {}, "label-studio"),
        ("instruction completions chosen rejected", {}, "ultrafeedback"),
        ("instruction chosen rejected response_a response_b", {}, "trl"),
        ("instruction response_a response_b chosen", {}, "side-by-side"),
    ],
)
def test_a_line_that_matches_several_formats_is_read_by_the_first(
    keys: str, more: dict[str, Any], expected: str
) -> None:
    found = find_format(Row({key: _KEYS[key] for key in keys.split()} | more))

    assert found is not None
    assert found.name == expected


def test_no_two_formats_have_the_same_rank() -> None:
    assert len({each.rank for each in FORMATS}) == len(FORMATS)


def test_the_refusal_of_an_unknown_line_names_every_format() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_line({"prompt": "x"})

    assert all(each.description in refused.value.detail for each in FORMATS)


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ({"prompt": "x"}, "no known format"),
        ([1], "a JSON array: "),
        (1, "a line must be"),
    ],
)
def test_a_line_without_a_format_is_refused(line: Any, start: str) -> None:
    assert refusal(line).startswith(start)
