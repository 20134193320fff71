"""Prompts and responses as pages show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.formats.tool_calls import render_calls
from app.web.markdown import SafeHtml, render_text

_RECOGNISED: Final = 300
_WHO: Final = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}

Call = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the prompt."""

    who: str
    html: str


def turns(
    prompt: str | Sequence[Call], tools: Sequence[Call] | None, *, is_plain: bool
) -> list[Turn]:
    """The turns of a prompt, after the tools that it may call. ``is_plain``: without Markdown."""
    first = [] if tools is None else [Turn("Tools", _as_code(tools))]
    if isinstance(prompt, str):
        return [*first, Turn("User", render_text(prompt, is_plain=is_plain))]
    return [*first, *(_turn(each, is_plain=is_plain) for each in prompt)]


def response_html(text: str, calls: Sequence[Call] | None, *, is_plain: bool) -> SafeHtml:
    """A response, with the tools that it calls. ``is_plain``: without Markdown."""
    code = render_calls(list(calls)) if calls else None
    return render_text(text, code=code, is_plain=is_plain)


def asked(prompt: str | Sequence[Call]) -> str:
    """What a prompt asks, in one line to recognise it by: its text, or that of its last turn."""
    text = prompt if isinstance(prompt, str) else prompt[-1].get("content") or ""
    return " ".join(text[:_RECOGNISED].split())


def _turn(turn: Call, *, is_plain: bool) -> Turn:
    who = _WHO[turn["role"]] + (f" {turn['name']}" if turn.get("name") else "")
    return Turn(
        who, response_html(turn.get("content") or "", turn.get("tool_calls"), is_plain=is_plain)
    )


def _as_code(tools: Sequence[Call]) -> SafeHtml:
    names = "\n".join(_described(tool.get("function", tool)) for tool in tools)
    return render_text("", code=names)


def _described(function: Call) -> str:
    parameters = function.get("parameters") or {}
    names = ", ".join(parameters.get("properties") or {}) if isinstance(parameters, dict) else ""
    description = function.get("description")
    return f"{function.get('name')}({names})" + (f": {description}" if description else "")
