"""PRO's rankings: ``prefix``, ``suffix``, ``reward``, as the recipe ``ranking`` writes. Pure.

Each suffix has its own prefix, which must be the same prompt in the whole line: turns as
``<|prompter|>…`` and ``<|assistant|>…``, ending with an empty turn of the assistant. The rewards
are scores, and preferences too.
"""

import re
from typing import Any

from app.errors import InvalidInput, Location
from app.formats.columns import number, ranked
from app.formats.format import Format, Line, ReadLine, has_keys

_TURN = re.compile(r"<\|(prompter|assistant)\|>")
_ROLES = {"prompter": "user", "assistant": "assistant"}


def _read(line: Line) -> ReadLine:
    prefix, suffix, reward = (line[name] for name in ("prefix", "suffix", "reward"))
    if not all(isinstance(each, list) for each in (prefix, suffix, reward)):
        raise InvalidInput("prefix, suffix, reward: must be lists")
    if not len(prefix) == len(suffix) == len(reward) or not prefix:
        raise InvalidInput("prefix, suffix, reward: must have one length")
    if any(each != prefix[0] for each in prefix):
        raise InvalidInput("prefix: must be the same prompt in the whole line")
    levels = {}
    for index, value in enumerate(reward):
        level = number(value)
        if level is None:
            raise InvalidInput(f"reward.{index}: must be a number")
        levels[index] = level
    responses = [{"text": text, "score": levels[index]} for index, text in enumerate(suffix)]
    names: dict[Location, str] = {("prompt",): "prefix", ("responses",): "suffix"}
    names |= {("responses", index, "text"): f"suffix.{index}" for index in levels}
    return ReadLine({"prompt": _prompt(prefix[0]), "responses": responses}, ranked(levels), names)


def _prompt(prefix: Any) -> Any:
    """The turns as messages; a single one as a string."""
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


FORMAT = Format(
    name="pro",
    description="`prefix`, `suffix` and `reward` (PRO)",
    matches=has_keys("prefix", "suffix", "reward"),
    read=_read,
    rank=50,
)
