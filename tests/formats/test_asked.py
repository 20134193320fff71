"""Every column that is a part of what was asked, in whatever format a line has."""

from typing import Any

import pytest

from tests.formats.reading import prompt_and_texts, refusal

_ANSWERS = {"chosen": "arr", "rejected": "hi"}
_SYSTEM = {"role": "system", "content": "Talk like a pirate"}
_USER = {"role": "user", "content": "hello"}
_HISTORY = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]


def _in_formats(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """The columns of a prompt in a line of each format that has columns for prompts."""
    return [
        {**columns, **_ANSWERS},
        {**columns, "response_a": "arr", "response_b": "hi"},
        {**columns, "responses": [{"text": "arr"}, {"text": "hi"}]},
        {**columns, "completions": [{"response": "arr"}, {"response": "hi"}]},
        {"fields": {**columns, "response_1": "arr", "response_2": "hi"}},
        {"data": {**columns, "text1": "arr", "text2": "hi"}, "annotations": []},
    ]


@pytest.mark.parametrize(
    ("columns", "content"),
    [
        ({"question": "hello"}, "hello"),
        ({"query": "hello"}, "hello"),
        ({"input": "hello"}, "hello"),
        ({"prompt": None, "question": "hello"}, "hello"),
        ({"context": "hello"}, "hello"),
        ({"instruction": "Translate", "input": "gato"}, "Translate\n\ngato"),
        ({"instruction": "Translate", "input": ""}, "Translate"),
        ({"instruction": "Translate", "input": None}, "Translate"),
        ({"question": "Who?", "context": "Ana and Bo."}, "Who?\n\nAna and Bo."),
        # A rendered prompt has them in it already.
        ({"prompt": "Do:\nTranslate\ngato", "input": "gato"}, "Do:\nTranslate\ngato"),
        ({"prompt": "Do:\nTranslate", "instruction": "Translate"}, "Do:\nTranslate"),
        # A word of the prompt is not the prompt.
        ({"prompt": "What is a cat?", "input": "a"}, "What is a cat?\n\na"),
        ({"prompt": "hello", "system": "Talk like a pirate"}, [_SYSTEM, _USER]),
        ({"prompt": "hello", "system_prompt": "Talk like a pirate"}, [_SYSTEM, _USER]),
        ({"prompt": "hello", "System Prompt": "Talk like a pirate"}, [_SYSTEM, _USER]),
        ({"prompt": "hello", "system": " ", "images": []}, "hello"),
        ({"prompt": [_USER], "system": "Talk like a pirate"}, [_SYSTEM, _USER]),
        ({"prompt": [_SYSTEM, _USER], "system": "Talk like a pirate"}, [_SYSTEM, _USER]),
        ({"prompt": "hello", "history": _HISTORY}, [*_HISTORY, _USER]),
        ({"prompt": "hello", "history": [["Hi", "Yes?"]]}, [*_HISTORY, _USER]),
        ({"prompt": "hello", "history": "User: Hi\nAssistant: Yes?"}, [*_HISTORY, _USER]),
        ({"prompt": "hello", "history": []}, "hello"),
        ({"prompt": "hello", "messages": [*_HISTORY, _USER]}, [*_HISTORY, _USER]),
        ({"history": [*_HISTORY, _USER]}, [*_HISTORY, _USER]),
        (
            {"prompt": "hello", "history": _HISTORY, "system": "Talk like a pirate"},
            [_SYSTEM, *_HISTORY, _USER],
        ),
        ({"messages": [_USER]}, [_USER]),
        ({"conversations": [{"from": "human", "value": "hello"}]}, [_USER]),
        ({"prompt": '[{"role": "user", "content": "hello"}]'}, [_USER]),
    ],
)
def test_every_part_of_the_prompt_is_used_in_every_format(
    columns: dict[str, Any], content: Any
) -> None:
    for line in _in_formats(columns):
        assert prompt_and_texts(line) == (content, ["arr", "hi"]), line


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"prompt": "hello", "question": "bye"}, "prompt, {}question: say different things"),
        ({"prompt": [_USER], "input": "gato"}, "input: cannot be used here"),
        ({"prompt": "hello", "system": ["x"]}, "system: cannot be used here"),
        ({"prompt": "hello", "context": ["x"]}, "context: cannot be used here"),
        ({"prompt": [_SYSTEM, _USER], "system": "x"}, "system: differs from the system turn"),
        ({"prompt": "hello", "history": "before"}, "history: must be a list of messages"),
        ({"prompt": "hello", "history": [_USER, _SYSTEM]}, "history: must lead up to the prompt"),
        ({"prompt": "hello", "images": ["cat.png"]}, "images: cannot be used here"),
        ({"prompt": "hello", "image": "cat.png"}, "image: cannot be used here"),
        ({"prompt": "hello", "audio": {"path": "a"}}, "audio: cannot be used here"),
        ({"prompt": "hello", "functions": [{"name": "w"}]}, "functions: cannot be used here"),
        ({"prompt": "hello", "tool_calls": [{"name": "w"}]}, "tool_calls: cannot be used here"),
        ({"prompt": "[{'role': 'user', 'content': 'x'}]"}, "prompt: looks like messages"),
    ],
)
def test_what_changes_the_meaning_and_cannot_be_used_refuses_the_line(
    columns: dict[str, Any], fault: str
) -> None:
    for line in _in_formats(columns):
        detail = refusal(line)
        place = "fields." if "fields" in line else "data." if "data" in line else ""
        assert detail.startswith(place + fault.format(place)), detail


@pytest.mark.parametrize("name", ["reasoning_content", "thinking", "images", "function_call"])
def test_what_changes_the_meaning_of_a_message_refuses_the_line(name: str) -> None:
    message = {**_USER, name: "x"}

    for line in _in_formats({"prompt": [message]}):
        assert f"prompt.0.{name}: cannot be used here" in refusal(line)
