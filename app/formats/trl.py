"""TRL's preference format: ``chosen`` and ``rejected``, with the prompt beside or in them. Pure."""

from itertools import takewhile
from typing import Any

from app.errors import InvalidInput


def split_strings(chosen: str, rejected: str) -> tuple[str, str, str]:
    """Prompt and completions of two strings whose common start is the prompt.

    As TRL's ``extract_prompt`` does it: a space at the seam belongs to the completions.

    Raises:
        InvalidInput: they have no common start, or do not differ.
    """
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False))
    prompt = "".join(character for character, _ in alike)
    if len(prompt) in (len(chosen), len(rejected)):
        raise InvalidInput("chosen, rejected: one is the start of the other")
    prompt = prompt.removesuffix(" ")
    if not prompt.strip():
        raise InvalidInput("prompt: missing, and chosen and rejected have no common start")
    return prompt, chosen[len(prompt) :], rejected[len(prompt) :]


def split_conversations(
    prompt: Any, chosen: list[Any], rejected: list[Any]
) -> tuple[Any, Any, Any]:
    """Prompt and completions of two lists of messages, each ending with the assistant's.

    The turns before are the prompt; where a prompt stands beside them too, it must agree.

    Raises:
        InvalidInput: the conversations differ before the last turn or from the prompt, or do not
            end with the assistant's turn.
    """
    preferred, other = _last_text(chosen, "chosen"), _last_text(rejected, "rejected")
    before = chosen[:-1]
    if before != rejected[:-1]:
        raise InvalidInput("chosen, rejected: the conversations diverge before the last turn")
    if prompt is None:
        return _only_turns(before), preferred, other
    if before and not _is_in(prompt, before):
        raise InvalidInput("prompt: is another than the turns before the last of chosen")
    # A prompt beside the conversations is often their last question alone.
    content = before if len(before) > 1 else prompt
    return _only_turns(content) if isinstance(content, list) else content, preferred, other


def _last_text(messages: list[Any], name: str) -> Any:
    last = messages[-1] if messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        raise InvalidInput(f"{name}: must end with an assistant's message")
    return last.get("content")


def _is_in(prompt: Any, before: list[Any]) -> bool:
    if isinstance(prompt, list):
        return before == prompt
    return any(isinstance(turn, dict) and turn.get("content") == prompt for turn in before)


def _only_turns(messages: list[Any]) -> list[Any]:
    """Messages without what else a dataset keeps in them."""
    return [
        {name: turn[name] for name in ("role", "content") if name in turn}
        if isinstance(turn, dict)
        else turn
        for turn in messages
    ]
