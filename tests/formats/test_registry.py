from typing import Any

import pytest

from app.errors import InvalidInput
from app.formats.format import Preference
from app.formats.registry import FORMATS, find_format, read_line
from app.imports.line_splitter import Line
from app.imports.lines import read_lines
from tests.prompts.sending import as_lines, prompt

_HH_START = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How are you?\n\nAssistant:"
_HH_MESSAGES = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "How are you?"},
]
_ASKED = {"role": "user", "content": "2+2?"}


def _answered(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _texts(line: Any) -> tuple[Any, list[Any]]:
    read = read_line(line)
    return read.prompt["prompt"], [each["text"] for each in read.prompt["responses"]]


def _refusal(line: Any) -> str:
    _, (bad,) = read_lines([Line(1, as_lines([line]))])
    return bad.detail


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
_TRANSCRIPTS = {"chosen": _HH_START + " x", "rejected": _HH_START + " y"}


@pytest.mark.parametrize(
    ("keys", "more", "expected"),
    [
        # Argilla's records have responses too, but never a prompt beside the fields.
        ("fields responses preferences", {}, "argilla"),
        ("fields chosen rejected", {}, "argilla"),
        ("fields prompt responses", {}, "own"),
        ("fields prompt chosen rejected", {}, "trl"),
        # What only files with votes have tells them from this service's own lines.
        ("prompt responses", {}, "own"),
        ("prompt responses preferences", {}, "votes"),
        ("prompt responses prompt_id", {}, "votes"),
        ("prompt responses dataset", {}, "votes"),
        ("responses", {"preferences": None}, "votes"),
        # Whatever else stands in a line that has responses.
        ("prompt responses instruction completions", {}, "own"),
        ("prompt responses chosen rejected", {}, "own"),
        ("responses dataset data annotations", {}, "votes"),
        # The first of these four, in this order.
        ("instruction completions prefix suffix reward data annotations", {}, "ultrafeedback"),
        ("completions prefix suffix reward data annotations chosen rejected", {}, "pro"),
        ("instruction data annotations chosen rejected", {}, "label-studio"),
        ("instruction completions chosen rejected", {}, "ultrafeedback"),
        ("instruction chosen rejected response_a response_b", {}, "trl"),
        ("instruction response_a response_b chosen", {}, "side-by-side"),
        # Transcripts are HH's only where no prompt stands beside them, and both are transcripts.
        ("", _TRANSCRIPTS, "hh"),
        ("", {**_TRANSCRIPTS, "prompt": None}, "hh"),
        ("response_a response_b", _TRANSCRIPTS, "hh"),
        ("prompt", _TRANSCRIPTS, "trl"),
        ("", {**_TRANSCRIPTS, "rejected": "y"}, "trl"),
        ("", {**_TRANSCRIPTS, "chosen": [_answered("x")]}, "trl"),
    ],
)
def test_a_line_of_two_formats_is_read_by_the_same_one_as_ever(
    keys: str, more: dict[str, Any], expected: str
) -> None:
    found = find_format({key: _KEYS[key] for key in keys.split()} | more)

    assert found is not None
    assert found.name == expected


def test_no_two_formats_have_the_same_rank() -> None:
    assert len({each.rank for each in FORMATS.values()}) == len(FORMATS)


def test_the_refusal_of_an_unknown_line_names_every_format() -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_line({"prompt": "x"})

    assert all(each.description in refusal.value.detail for each in FORMATS.values())


def test_own_form_is_taken_as_it_is() -> None:
    sent = prompt("a", "b", id="p", metadata={"k": 1})
    assert read_line(sent).prompt is sent


def test_own_form_with_an_unknown_key_is_refused() -> None:
    assert _refusal({**prompt(), "promt": "x"}).startswith("promt: ")


def test_hh_transcripts_share_the_turns_before_the_last() -> None:
    line = {"chosen": _HH_START + " Fine.", "rejected": _HH_START + " Go away. "}
    assert _texts(line) == (_HH_MESSAGES, ["Fine.", "Go away."])
    assert read_line(line).preferences == [Preference((0, 1), 0)]


@pytest.mark.parametrize(
    "start",
    [
        "\n\nHuman: Hi\n\nHuman: Hi again\n\nAssistant:",
        "\n\nAssistant: Hello.\n\nHuman: Hi\n\nAssistant:",
        "A dialogue.\n\nHuman: Hi\n\nAssistant:",
    ],
)
def test_hh_turns_that_do_not_alternate_stay_a_string(start: str) -> None:
    content, _ = _texts({"chosen": start + " a", "rejected": start + " b"})
    assert content == start.removesuffix("\n\nAssistant:").strip()


def test_hh_dialogues_that_diverge_before_the_last_turn_are_refused() -> None:
    other = _HH_START.replace("Hello.", "Go on.")
    detail = _refusal({"chosen": _HH_START + " a", "rejected": other + " b"})
    assert detail == "chosen, rejected: the dialogues diverge before the last turn"


def test_trl_strings_are_taken_exactly() -> None:
    line = {"prompt": " 2+2? ", "chosen": " 4\n", "rejected": "5 ", "extra": [1]}
    assert _texts(line) == (" 2+2? ", [" 4\n", "5 "])


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
        ({"chosen": "2+2? 4", "rejected": "2+2? 5"}, "2+2?"),
    ],
)
def test_trl_prompts_stand_beside_or_inside_the_completions(line: Any, content: Any) -> None:
    found, texts = _texts(line)
    assert found == content
    assert [text.strip() for text in texts] == ["4", "5"]


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ({"chosen": "abc", "rejected": "xyz"}, "prompt: "),
        ({"chosen": "abc", "rejected": "abcd"}, "chosen, rejected: "),
        ({"prompt": "x", "chosen": "same", "rejected": "same"}, "chosen, rejected: "),
        ({"prompt": "x", "chosen": "", "rejected": "b"}, "chosen, rejected: "),
        ({"prompt": "x", "chosen": 4, "rejected": "b"}, "chosen, rejected: "),
        ({"prompt": "x", "chosen": "a" * 100_001, "rejected": "b"}, "chosen: "),
        ({"chosen": [_ASKED], "rejected": [_ASKED]}, "chosen: must end"),
        ({"chosen": [], "rejected": []}, "chosen: must end"),
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
        ({"instruction": "", "completions": [{"response": "a"}, {"response": "b"}]}, "instruction"),
        ({"instruction": "x", "completions": [{"response": "a"}]}, "completions: "),
        (
            {"instruction": "x", "completions": [{"response": 3}, {"response": "b"}]},
            "completions.0.response: ",
        ),
        ({"instruction": "x", "completions": "a"}, "completions: "),
        ({"prompt_id": 7, "prompt": "x", "responses": [{"text": "a"}, {"text": "b"}]}, "prompt_id"),
        ({"prompt": "x"}, "no known format"),
        ([1], "a JSON array: "),
        (1, "a line must be"),
    ],
)
def test_a_refusal_names_the_lines_own_field(line: Any, start: str) -> None:
    assert _refusal(line).startswith(start)


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
    with pytest.raises(InvalidInput) as refusal:
        read_line(_multi(vote))
    assert refusal.value.detail.startswith(where)


def test_votes_on_a_repeated_text_go_to_its_first() -> None:
    votes = [_vote("r1", "r2", "b"), _vote("r0", "r2", "a"), _vote("r0", "r3", "a")]
    (line,), _ = read_lines([Line(1, as_lines([_multi(*votes, texts=("a", "b", "a ", ""))]))])
    # r2 is r0 again: the first vote is on b and a, the second on a and itself; r3 is empty.
    assert line.preferences == [Preference((1, 0), 0, "ana")]


@pytest.mark.parametrize(
    "content",
    [
        b'{"prompt": "x", ',
        b"[" * 10_000,
        b"\xff\xfe",
        b'{"prompt": "\\ud800", "chosen": "a", "rejected": "b"}',
        b'{"prompt": "x", "chosen": "\\u0000", "rejected": "b"}',
        b'{"prompt": "x", "chosen": "a", "rejected": "b", "more": {"deep": ["\\u0000"]}}',
        b'{"prompt": "x", "chosen": "a", "rejected": "b", "more": NaN}',
        b"[" * 1000 + b'"\\u0000"' + b"]" * 1000,
    ],
)
def test_a_line_that_is_no_json_is_refused(content: bytes) -> None:
    good, (bad,) = read_lines([Line(7, content)])
    assert not good
    assert bad.number == 7


def test_a_character_that_cannot_be_stored_is_told_with_its_field() -> None:
    content = b'{"prompt": "x", "chosen": "a\\u0000", "rejected": "b"}'
    _, (bad,) = read_lines([Line(1, content)])
    assert bad.detail == "chosen: holds a NUL character"
