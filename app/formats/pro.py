r"""PRO's rankings: ``prefix``, ``suffix``, ``reward``, as the recipe ``ranking`` writes. Pure.

Each suffix has its own prefix, and all of a line are the same prompt: turns as
``<|prompter|>…`` and ``<|assistant|>…``, the last of them an empty assistant's.
"""

import re
from typing import Any

from app.errors import InvalidInput
from app.formats.place import Place
from app.formats.values import ReadLine, number, ranked

_TURN = re.compile(r"<\|(prompter|assistant)\|>")
_ROLES = {"prompter": "user", "assistant": "assistant"}


def read_ranking(line: dict[str, Any]) -> ReadLine:
    """Read a line with ``prefix``, ``suffix`` and ``reward``; the rewards are its preferences.

    Raises:
        InvalidInput: the three are no lists of one length, or the prefixes differ.
    """
    prefix, suffix, reward = (line[name] for name in ("prefix", "suffix", "reward"))
    if not all(isinstance(each, list) for each in (prefix, suffix, reward)):
        raise InvalidInput("prefix, suffix, reward: must be lists")
    if not len(prefix) == len(suffix) == len(reward) or not prefix:
        raise InvalidInput("prefix, suffix, reward: must have one length")
    if any(each != prefix[0] for each in prefix):
        raise InvalidInput("prefix: the responses are not to one and the same prompt")
    levels = {}
    for place, value in enumerate(reward):
        level = number(value)
        if level is None:
            raise InvalidInput(f"reward.{place}: must be a number")
        levels[place] = level
    responses = [{"text": text, "score": levels[place]} for place, text in enumerate(suffix)]
    names: dict[Place, str] = {("prompt",): "prefix", ("responses",): "suffix"}
    names |= {("responses", place, "text"): f"suffix.{place}" for place in levels}
    return ReadLine({"prompt": _prompt(prefix[0]), "responses": responses}, ranked(levels), names)


def _prompt(prefix: Any) -> Any:
    """The turns as a string where there is one, else as messages."""
    pieces = prefix if isinstance(prefix, list) else [prefix]
    if not all(isinstance(piece, str) for piece in pieces):
        raise InvalidInput("prefix: must hold strings")
    before, *rest = _TURN.split("".join(pieces))
    turns = [
        {"role": _ROLES[role], "content": text.strip()}
        for role, text in zip(rest[::2], rest[1::2], strict=True)
    ]
    if turns and turns[-1] == {"role": "assistant", "content": ""}:
        turns.pop()
    if not turns:
        return before.strip()
    if before.strip():
        turns.insert(0, {"role": "system", "content": before.strip()})
    return turns[0]["content"] if len(turns) == 1 else turns
