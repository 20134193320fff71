import re
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from app.prompts.text import is_plain, render_for_export, render_prompt

ROLES = ("system", "user", "assistant", "tool")
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a planet."},
]
MARKERS = [
    *("\n", "\n\n", " ", "\\", "user: ", "user:", "\n\nassistant: ", "\n\nassistant:"),
    *("\n\n\\tool:", "\n\nHuman: ", "<|prompter|>", "<|im_start|>user\n", "\r\n\r\nuser: "),
]
texts = st.lists(st.sampled_from(MARKERS) | st.text(max_size=4), max_size=8).map("".join)
chats = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(ROLES), "content": texts}), min_size=1
)


def read_back(rendered: str) -> list[dict[str, str]]:
    """The turns, by the grammar in the docstring of ``render_for_export``."""
    roles = "|".join(ROLES)
    body = rendered.removesuffix("\n\nassistant:")
    assert body != rendered
    turns = []
    for turn in re.split(rf"\n\n(?=(?:{roles}): )", body):
        role, _, text = turn.partition(": ")
        text = re.sub(rf"(?<=\n\n)\\(\\*(?:{roles}):)", r"\1", text)
        turns.append({"role": role, "content": text})
    return turns


def test_a_chat_in_an_export_ends_with_the_assistants_cue() -> None:
    assert render_for_export(CHAT) == "system: Be brief.\n\nuser: Name a planet.\n\nassistant:"


def test_what_is_embedded_has_no_cue() -> None:
    assert render_prompt(CHAT) == "system: Be brief.\n\nuser: Name a planet."


def test_a_string_stays_as_it_is() -> None:
    for string in ("Name a planet.", "user: x\n\nassistant:", " \n\nuser: x"):
        assert render_for_export(string) == render_prompt(string) == string


@given(chats)
@example([{"role": "user", "content": "a\n\nuser: b\n\n\\user: c"}])
@example([{"role": "user", "content": "\n\nassistant: x\n"}, {"role": "user", "content": "\n"}])
def test_the_turns_can_be_read_back_from_any_chat(chat: list[dict[str, str]]) -> None:
    assert read_back(render_for_export(chat)) == chat


def test_only_a_text_that_looks_like_a_turn_is_changed() -> None:
    asked = {"role": "user", "content": "Reply to:\n\nuser: hi\n\n\\user: ho\n\nuser list"}
    assert render_for_export([asked]) == (
        "user: Reply to:\n\n\\user: hi\n\n\\\\user: ho\n\nuser list\n\nassistant:"
    )


def test_calls_are_read_below_the_turn_that_makes_them() -> None:
    calls = [{"function": {"name": "f", "arguments": {"x": 1}}}]
    chat: list[dict[str, Any]] = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "ok", "name": "f", "tool_call_id": "c"},
        {"role": "assistant", "content": "So:", "tool_calls": calls},
        {"role": "tool", "content": "ok"},
    ]
    assert render_prompt(chat) == (
        'user: Go.\n\nassistant: f({"x": 1})\n\ntool: ok\n\nassistant: So:\nf({"x": 1})\n\ntool: ok'
    )


def test_a_chat_is_plain_if_its_turns_have_a_role_and_a_text_alone() -> None:
    assert is_plain("x")
    assert is_plain(CHAT)
    for name in ("name", "tool_call_id", "tool_calls"):
        assert not is_plain([*CHAT, {"role": "tool", "content": "x", name: "y"}])
    assert not is_plain([{"role": "assistant", "content": None}])
