"""TRL's preference format: ``chosen`` and ``rejected``, with the prompt beside or in them. Pure."""

from itertools import takewhile
from typing import Any

from app.errors import InvalidInput
from app.formats.columns import chosen_and_rejected
from app.formats.format import Format, Line, ReadLine, has_keys


def _read(line: Line) -> ReadLine:
    chosen, rejected, prompt = line["chosen"], line["rejected"], line.get("prompt")
    if isinstance(chosen, list) and isinstance(rejected, list):
        split = _split_conversations(prompt, chosen, rejected)
    elif not isinstance(chosen, str) or not isinstance(rejected, str):
        raise InvalidInput("chosen, rejected: must both be strings, or both lists of messages")
    elif prompt is not None:
        split = prompt, chosen, rejected
    else:
        split = _split_strings(chosen, rejected)
    return chosen_and_rejected(line, *split)


def _split_strings(chosen: str, rejected: str) -> tuple[str, str, str]:
    """The common start of two strings, which is the prompt, and the rest of each.

    As TRL's ``extract_prompt`` does it: a space at the seam belongs to the completions.
    """
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False))
    prompt = "".join(character for character, _ in alike)
    if len(prompt) in (len(chosen), len(rejected)):
        raise InvalidInput("chosen, rejected: one is the start of the other")
    prompt = prompt.removesuffix(" ")
    if not prompt.strip():
        raise InvalidInput("prompt: missing, and chosen and rejected have no common start")
    return prompt, chosen[len(prompt) :], rejected[len(prompt) :]


def _split_conversations(
    prompt: Any, chosen: list[Any], rejected: list[Any]
) -> tuple[Any, Any, Any]:
    """The prompt, and the last message of each conversation, which must be the assistant's.

    The turns before are the prompt; where a prompt stands beside them too, it must agree.
    """
    preferred, other = _last_text(chosen, "chosen"), _last_text(rejected, "rejected")
    before = chosen[:-1]
    if before != rejected[:-1]:
        raise InvalidInput("chosen, rejected: the conversations diverge before the last turn")
    if prompt is None:
        return _only_turns(before), preferred, other
    if before and not _is_in(prompt, before):
        raise InvalidInput("prompt: differs from the turns before the last of chosen")
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
    """Messages with their role and content alone: datasets keep other columns in them too."""
    return [
        {name: turn[name] for name in ("role", "content") if name in turn}
        if isinstance(turn, dict)
        else turn
        for turn in messages
    ]


FORMAT = Format(
    name="trl",
    description="`chosen` and `rejected` (TRL preference)",
    matches=has_keys("chosen", "rejected"),
    read=_read,
    rank=80,
)
