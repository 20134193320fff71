from typing import Any

import pytest

from app.formats.transcripts import read_transcript
from tests.formats.reading import prompt_and_texts, refusal

_TURNS = [
    {"role": "user", "content": "Name a planet"},
    {"role": "assistant", "content": "Which  one?\n  - any"},
    {"role": "user", "content": "Any."},
]
_SYSTEM = {"role": "system", "content": "Be brief."}

_TEMPLATES = {
    "hh": "\n\nHuman: {0}\n\nAssistant: {1}\n\nHuman: {2}\n\nAssistant: {3}",
    "hh, other line ends": "Human: {0}\r\n\r\nAssistant: {1}\r\n\r\n"
    "Human: {2}\r\n\r\nAssistant: {3}",
    "plain": "User: {0}\nAssistant: {1}\nUser: {2}\nAssistant: {3}",
    "plain, in paragraphs": "User: {0}\n\nAssistant: {1}\n\nUser: {2}\n\nAssistant: {3}",
    "plain, old line ends": "User: {0}\rAI: {1}\rUser: {2}\rAI: {3}",
    "chatml": "<|im_start|>user\n{0}<|im_end|>\n<|im_start|>assistant\n{1}<|im_end|>\n"
    "<|im_start|>user\n{2}<|im_end|>\n<|im_start|>assistant\n{3}<|im_end|>\n",
    "chatml, other line ends": "<|im_start|>user\r\n{0}<|im_end|>\r\n<|im_start|>assistant\r\n{1}"
    "<|im_end|>\r\n<|im_start|>user\r\n{2}<|im_end|>\r\n<|im_start|>assistant\r\n{3}",
    "llama 2": "<s>[INST] {0} [/INST] {1} </s><s>[INST] {2} [/INST] {3} </s>",
    "mistral": "<s>[INST] {0} [/INST] {1}</s>[INST] {2} [/INST] {3}</s>",
    "llama 3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{0}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{1}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{2}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{3}<|eot_id|>",
    "zephyr": "<|user|>\n{0}</s>\n<|assistant|>\n{1}</s>\n"
    "<|user|>\n{2}</s>\n<|assistant|>\n{3}</s>",
    "openassistant": "<|prompter|>{0}<|endoftext|><|assistant|>{1}<|endoftext|>"
    "<|prompter|>{2}<|endoftext|><|assistant|>{3}",
    "gemma": "<bos><start_of_turn>user\n{0}<end_of_turn>\n<start_of_turn>model\n{1}<end_of_turn>\n"
    "<start_of_turn>user\n{2}<end_of_turn>\n<start_of_turn>model\n{3}<end_of_turn>\n",
}
_SYSTEM_TURNS = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n",
    "llama 3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>",
    "zephyr": "<|system|>\nBe brief.</s>\n",
    "plain": "System: Be brief.\n",
}


def _filled(template: str, answer: str) -> str:
    return template.format(*(turn["content"] for turn in _TURNS), answer)


@pytest.mark.parametrize("template", _TEMPLATES.values(), ids=_TEMPLATES)
def test_the_turns_of_a_transcript_are_found(template: str) -> None:
    line = {"chosen": _filled(template, "  Mars."), "rejected": _filled(template, "Pluto.")}

    assert prompt_and_texts(line) == (_TURNS, ["  Mars.", "Pluto."])


@pytest.mark.parametrize("template", _TEMPLATES.values(), ids=_TEMPLATES)
@pytest.mark.parametrize("asked", ["Any.", _TURNS])
def test_a_transcript_may_repeat_the_prompt_that_stands_beside(template: str, asked: Any) -> None:
    line = {
        "prompt": asked,
        "chosen": _filled(template, "Mars."),
        "rejected": _filled(template, "Pluto."),
    }

    assert prompt_and_texts(line) == (_TURNS, ["Mars.", "Pluto."])


@pytest.mark.parametrize("name", _SYSTEM_TURNS)
def test_a_transcript_may_begin_with_the_system(name: str) -> None:
    rest = _filled(_TEMPLATES[name], "Mars.").removeprefix("<|begin_of_text|>")

    turns = read_transcript(_SYSTEM_TURNS[name] + rest)

    assert turns == [_SYSTEM, *_TURNS, {"role": "assistant", "content": "Mars."}]


def test_llama_2_has_the_system_in_the_first_turn() -> None:
    text = "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Yes?"

    assert read_transcript(text) == [
        _SYSTEM,
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The planet is Mars",
        "He said:\nUser: hi\nAssistant: ho",
        "User: hi\nUser: hi\nAssistant: ho",
        "Assistant: ho\nUser: hi\nAssistant: ho",
        "User: hi\nAssistant: ho\nUser: hi",
        "<|im_start|>user\nhi<|im_end|>\nand<|im_start|>assistant\nho",
        "<|im_start|>narrator\nhi<|im_end|>\n<|im_start|>assistant\nho",
        "[INST] hi [/INST] ho [/INST]",
        "[INST] hi",
        "User: \nAssistant: ho",
    ],
)
def test_what_is_no_whole_transcript_is_text(text: str) -> None:
    assert read_transcript(text) is None


def test_answers_are_never_cut_within_a_turn() -> None:
    start = "<|im_start|>user\nName a planet<|im_end|>\n<|im_start|>assistant\nThe planet is "

    line = {"chosen": f"{start}Mars", "rejected": f"{start}Pluto"}

    assert prompt_and_texts(line)[1] == ["The planet is Mars", "The planet is Pluto"]


def test_answers_that_look_like_transcripts_stay_whole() -> None:
    # The prompt asks for a dialogue, and each answer is one.
    line = {
        "prompt": "Write a dialogue.",
        "chosen": "User: hi\nAssistant: hello",
        "rejected": "User: go\nAssistant: away",
    }

    assert prompt_and_texts(line)[1] == [line["chosen"], line["rejected"]]
    alike = {**line, "rejected": "User: hi\nAssistant: go away"}
    assert prompt_and_texts(alike)[1] == [alike["chosen"], alike["rejected"]]


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (
            {"prompt": "hi", "chosen": "Human: hi\n\nAssistant: a", "rejected": "b"},
            "chosen, rejected: only one of them repeats the prompt",
        ),
        (
            {
                "prompt": "Name a planet.",
                "chosen": "Name a planet. Mars",
                "rejected": "Name a planet. Pluto",
            },
            "chosen, rejected: both begin with the prompt",
        ),
    ],
)
def test_where_the_answers_begin_must_be_sure(line: dict[str, str], detail: str) -> None:
    assert refusal(line).startswith(detail)


def test_a_greeting_may_begin_both_answers() -> None:
    line = {"prompt": "Hi", "chosen": "Hi there", "rejected": "Hi you"}

    assert prompt_and_texts(line) == ("Hi", ["Hi there", "Hi you"])


def test_a_long_run_of_line_ends_is_read_once() -> None:
    # A reader that goes back over the run would not end.
    assert read_transcript("User: hi" + "\r\n" * 100_000 + "x") is None
