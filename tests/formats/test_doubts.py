"""Lines that could be misread: each is read for sure, or refused in words that say why."""

from typing import Any

import pytest

from app.formats.format import Preference
from app.formats.preferences import MAX_RANKED
from app.formats.registry import read_line
from app.settings import MAX_RESPONSES
from tests.formats.reading import prompt_and_texts, refusal

Line = dict[str, Any]


def _user(text: str) -> Line:
    return {"role": "user", "content": text}


def _answer(text: str) -> Line:
    return {"role": "assistant", "content": text}


def _pair(**more: Any) -> Line:
    return {"chosen": "x", "rejected": "y", **more}


def _argilla(fields: Line, responses: Any = None) -> Line:
    return {"fields": fields, "responses": responses or {}}


def test_as_many_responses_can_be_ranked_as_a_prompt_has() -> None:
    assert MAX_RANKED == MAX_RESPONSES


@pytest.mark.parametrize(
    ("columns", "content"),
    [
        ({"instruction": "Square this.", "input": 7}, "Square this.\n\n7"),
        ({"question": "When?", "context": 1984.0}, "When?\n\n1984"),
        ({"prompt": "q", "images": "[]", "image": {"bytes": None, "path": None}}, "q"),
        ({"prompt": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]}, [_user("q")]),
        ({"prompt": "q", "messages": [_user("q"), _answer("x")]}, "q"),
        ({"prompt": "q", "messages": [_user("p"), _answer("r"), _user("q")]},
         [_user("p"), _answer("r"), _user("q")]),
    ],
)  # fmt: skip
def test_what_stands_beside_the_prompt_is_read(columns: Line, content: Any) -> None:
    read = read_line(_pair(**columns))

    assert read.prompt["prompt"] == content
    assert read.left_out == ()


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (_pair(prompt="q", messages=[_user("q"), _answer("sft")]), "messages: must lead up"),
        (_pair(prompt="q", image_1="cat.png"), "image_1: cannot be used"),
        (_pair(prompt="q", chosen_images=["cat.png"]), "chosen_images: cannot be used"),
        (_pair(prompt="q", chosen_reasoning="since"), "chosen_reasoning: cannot be used"),
        (_pair(prompt="q", instructions="Be brief."), "instructions: cannot be used"),
        (_pair(prompt=[_user("q")], input=7), "input: cannot be used"),
        (_pair(prompt="q", id=1e20), "id: a number of so many digits must be a string"),
        (_pair(prompt="{'role': 'user', 'content': 'q'}"), "prompt: looks like messages"),
        (_pair(prompt='[{"role": "user", "content": "a", "content": "b"}]'), "content: stands"),
        (
            {"prompt": "q", "response_a": "1", "response_b": "2", "chosen": "response_a",
             "rejected": "response_b"},
            "chosen: names another column",
        ),
        (
            {"prompt": "q", "response_0": "x", "response_1": "y", "response_2": "z"},
            "response_0: only two",
        ),
        (
            {"prompt": "q", "response_a": "x", "response_b": "y", "winner": "b",
             "winner_model_a": 1, "winner_model_b": 0},
            "winner: differs",
        ),
        (
            {"prompt": '["q"]', "response_a": '["x", "z"]', "response_b": '["y"]'},
            "prompt, response_a, response_b: must be lists of as many strings",
        ),
        (
            {"prompt": "Name a planet.", "chosen": "Q: Name a planet.\nA: Mars",
             "rejected": "Q: Name a planet.\nA: Pluto"},
            "chosen, rejected: both begin with the prompt",
        ),
        (
            {"prompt": "p", "chosen": "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nx",
             "rejected": "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\ny"},
            "prompt: differs from the turns",
        ),
        (
            {"prompt": [_user("q"), _answer("r"), _user("s")], "chosen": [_user("q"), _answer("x")],
             "rejected": [_user("q"), _answer("y")]},
            "prompt: differs from the turns",
        ),
        ({"prompt": ["q"], "chosen": [_user("q"), _answer("x")],
          "rejected": [_user("q"), _answer("y")]}, "prompt: "),
        (_argilla({"instruction": "q", "generation": "Mars", "model": "gpt-4"}), "fields: which"),
        (_argilla({"instruction": "q", "x": "1", "category": "2"},
                  {"best": [{"value": "x", "user_id": "u"}]}), "fields: which"),
        (_argilla({"prompt": "q", "generation": "g", "tag_1": "s", "tag_2": "t"}), "fields: which"),
        (_argilla({"prompt": "q", **{f"response_{n}": f"r{n}" for n in range(65)}}),
         "fields: has 65 responses"),
        ({"prefix": [""] * 65, "suffix": ["a"] * 65, "reward": [1] * 65}, "suffix: has 65"),
        (
            {"data": {"prompt": "q", "a": "x"}, "annotations": [{"result": [
                {"type": "pairwise", "to_name": "prompt,a", "value": {"selected": "left"}}]}]},
            "annotations.0.result.0.to_name: ",
        ),
        (
            {"data": {"prompt": "q", "items": [{"id": "a", "body": "1"}, {"id": "b", "body": "2"},
                                               {"id": "c", "body": "3"}]},
             "annotations": [{"result": [{"type": "ranker", "value": {
                 "ranker": {"good": ["a", "b"], "bad": ["c"]}}}]}]},
            "annotations.0.result.0.value.ranker: has several lists",
        ),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_refused(line: Line, detail: str) -> None:
    assert refusal(line).startswith(detail)


def test_metadata_that_is_no_object_is_refused_also_with_what_is_left_out() -> None:
    read = read_line(
        {"prompt": "q", "responses": [{"text": "x"}, {"text": "y"}], "metadata": "m", "s": 1},
        keep_extra=True,
    )

    assert read.prompt["metadata"] == "m"


@pytest.mark.parametrize("winner", ["1.0", 1.0, "1"])
def test_a_winner_may_be_written_as_data_frames_write_it(winner: Any) -> None:
    read = read_line({"prompt": "q", "response_1": "x", "response_2": "y", "winner": winner})

    assert read.preferences == [Preference((0, 1), 0)]


def test_several_questions_that_prefer_a_response_give_no_label() -> None:
    answers = {
        name: [{"value": value, "user_id": "u"}]
        for name, value in (("best", "response_1"), ("worst", "response_2"), ("length", "same"))
    }

    read = read_line(_argilla({"prompt": "q", "response_1": "x", "response_2": "y"}, answers))

    assert read.preferences == []
    assert read.no_label == "several questions prefer a response (best, worst)"


@pytest.mark.parametrize("text", ["User: q\nAssistant: x", [_user("q"), _answer("x")]])
def test_a_completion_that_repeats_the_prompt_is_its_last_turn(text: Any) -> None:
    line = {"instruction": "q", "completions": [{"response": text}, {"response": "y"}]}

    assert prompt_and_texts(line) == ("q", ["x", "y"])


def test_reading_hostile_names_and_texts_ends() -> None:
    # Readers that look at every column for every column, or go back, would take minutes.
    fields = {f"f{number}x": "t" for number in range(5000)} | {"_" * 50_000 + "!": "t"}
    assert refusal(_argilla(fields)).startswith("fields: which")
