"""What a prompt asks is found at its end, whatever stands before it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.prompts.question import QUESTION_CHARACTERS, question

LONG, SHORT = QUESTION_CHARACTERS
PREAMBLE = "You are a helpful assistant. Keep to the facts that you know. " * 40


def turn(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def test_a_short_prompt_is_its_own_question() -> None:
    assert question("Name a planet.") == ("Name a planet.",)
    assert question("\n Name a planet. \n") == ("Name a planet.",)
    assert question([turn("user", "Name a planet.")]) == ("Name a planet.",)


def test_the_last_user_turn_of_a_chat_is_the_question() -> None:
    chat = [
        turn("system", PREAMBLE),
        turn("user", "Name a star."),
        turn("assistant", "The sun."),
        turn("user", "Name a planet."),
    ]
    assert question(chat) == ("Name a planet.",)


def test_a_tools_turn_or_calls_at_the_end_change_nothing() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    chat = [
        turn("user", "Name a planet."),
        turn("assistant", None, tool_calls=[call]),
        turn("tool", "Mars, Venus", tool_call_id="1", name="find"),
    ]
    assert question(chat) == ("Name a planet.",)
    del chat[1]["content"]
    assert question(chat) == ("Name a planet.",)


def test_a_blank_last_turn_leaves_the_user_turn_before_it() -> None:
    chat = [turn("user", "Name a planet."), turn("assistant", "Mars."), turn("user", " \n")]
    assert question(chat) == ("Name a planet.",)


def test_a_turn_of_a_word_or_two_is_read_after_the_turn_before_it() -> None:
    chat = [turn("system", PREAMBLE), turn("assistant", "Shall I go on?"), turn("user", "Yes.")]
    assert question(chat) == ("Shall I go on?\n\nYes.",)
    assert question([turn("system", PREAMBLE), turn("user", "Yes.")]) == ("Yes.",)
    assert question([*chat, turn("user", "为什么天空是蓝色的?")]) == ("为什么天空是蓝色的?",)


def test_a_chat_without_a_user_turn_is_taken_as_one_text() -> None:
    assert question([turn("system", "Greet."), turn("user", "")]) == ("system: Greet.\n\nuser:",)


def test_a_long_prompt_has_a_long_and_a_short_end() -> None:
    long, short = question(PREAMBLE + "\n\nName a planet.")
    assert long.endswith(short)
    assert short.endswith("\n\nName a planet.")
    assert SHORT - 20 < len(short) <= SHORT
    assert LONG - 20 < len(long) <= LONG


def test_an_end_begins_with_a_whole_word() -> None:
    text = "x" * 500 + "\nabcdef " + "y" * (SHORT - 4)
    assert question(text)[-1] == "y" * (SHORT - 4)
    text = "x" * 500 + " " + "y" * 10 + " " + "z" * (SHORT - 11)
    assert question(text)[-1] == "y" * 10 + " " + "z" * (SHORT - 11)


def test_a_text_without_spaces_keeps_its_characters() -> None:
    assert question("x" * 1000 + " y") == ("x" * (LONG - 2) + " y", "x" * (SHORT - 2) + " y")


def test_a_wide_character_counts_as_three() -> None:
    assert question("字" * 1000) == ("字" * (LONG // 3), "字" * (SHORT // 3))


@given(st.text(), st.text(), st.text(min_size=1))
def test_the_same_end_is_the_same_question_whatever_stands_before_it(
    before: str, other: str, end: str
) -> None:
    end = "a " + end.strip() + " z" * LONG
    assert question(before + end) == question(other + end)
    assert question(f"{before}{end}") == question([turn("user", other), turn("user", end)])


@given(st.text())
def test_a_question_is_never_blank_and_never_longer_than_it_may_be(text: str) -> None:
    found = question([turn("user", text)])
    assert all(each.strip() for each in found)
    assert len(found) <= len(QUESTION_CHARACTERS)
    for each, length in zip(found, QUESTION_CHARACTERS, strict=False):
        assert len(each) <= length
        assert each in (text if text.strip() else "user: ")


@pytest.mark.parametrize("separator", ["\n\n", "\n", " ", "\r\n"])
def test_a_shared_beginning_is_cut_however_it_is_joined(separator: str) -> None:
    asked = "Explain in plain words how a magnet works."
    assert question(PREAMBLE + separator + asked) == question(
        "Other. " + PREAMBLE + separator + asked
    )
    assert all(each.endswith(asked) for each in question(PREAMBLE + separator + asked))
