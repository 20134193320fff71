"""PRO's rankings: ``prefix``, ``suffix``, ``reward``, as the recipe ``ranking`` writes. Pure.

Each suffix has its own prefix, which must be the same prompt in the whole line: a string for each
turn, ``<|prompter|>…`` or ``<|assistant|>…``, and at the end the assistant's marker alone. The
rewards are scores, and preferences too.

A turn is what follows the marker that its string begins with, so that markers within a text are
text. PRO has no marker for other speakers: our own exports name the roles in ``meta.roles``. Those
of version 0.1.0 do not, and have the system's turn as the prompter's first of two.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from app.errors import InvalidInput, Location
from app.formats.asked import complete
from app.formats.format import Format, ReadLine, has_keys
from app.formats.messages import Messages
from app.formats.preferences import MAX_RANKED, ranked
from app.formats.row import Row
from app.formats.values import as_number, identifier, metadata, text_or_empty

_TURN: Final = re.compile(r"<\|(prompter|assistant)\|>")
_ROLES: Final = {"prompter": "user", "assistant": "assistant"}
_LISTS: Final = ("prefix", "suffix", "reward")


def _read(row: Row) -> ReadLine:
    prefix, suffix, reward = (row.structure(name) for name in _LISTS)
    if not all(isinstance(each, list) for each in (prefix, suffix, reward)):
        raise InvalidInput("prefix, suffix, reward: must be lists")
    if not len(prefix) == len(suffix) == len(reward) or not prefix:
        raise InvalidInput("prefix, suffix, reward: must have one length")
    if len(suffix) > MAX_RANKED:
        raise InvalidInput(f"suffix: has {len(suffix)} responses, more than {MAX_RANKED}")
    if any(each != prefix[0] for each in prefix):
        raise InvalidInput("prefix: must be the same prompt in the whole line")
    levels = {}
    for index, value in enumerate(reward):
        level = as_number(value)
        if level is None:
            raise InvalidInput(f"reward.{index}: must be a number")
        levels[index] = level
    row.ignore("sft_index")
    own_id, roles = _meta(row)
    asked = complete(row, _prompt(prefix[0], roles), "prefix")
    prompt: dict[str, Any] = asked.fields() | {
        "id": own_id,
        "responses": [
            {"text": text_or_empty(text), "score": levels[index]}
            for index, text in enumerate(suffix)
        ],
        "metadata": metadata(row),
    }
    names: dict[Location, str] = {("prompt",): "prefix", ("responses",): "suffix"}
    names |= {("responses", index, "text"): f"suffix.{index}" for index in levels}
    return ReadLine(prompt, ranked(levels), names)


def _meta(row: Row) -> tuple[str | None, Sequence[str] | None]:
    """The caller's id of the prompt and the roles of its turns, in a line of our own exports."""
    meta = row.peek("meta")
    if not isinstance(meta, dict) or "prompt_external_id" not in meta:
        return None, None
    part = row.object("meta")
    part.ignore("prompt_id")
    roles = part.take("roles")
    return identifier(part, "prompt_external_id"), roles if isinstance(roles, list) else None


def _prompt(prefix: Any, roles: Sequence[str] | None) -> str | Messages:
    """The turns as messages; a single one as a string, unless its role is known."""
    pieces = prefix if isinstance(prefix, list) else [prefix]
    if not all(isinstance(piece, str) for piece in pieces):
        raise InvalidInput("prefix: must hold strings")
    markers = [_TURN.match(piece) for piece in pieces]
    if all(markers) and len(pieces) > 1:
        turns = [
            {"role": _ROLES[marker.group(1)], "content": piece[marker.end() :]}
            for piece, marker in zip(pieces, markers, strict=True)
            if marker is not None
        ]
    else:
        before, *rest = _TURN.split("".join(pieces))
        turns = [
            {"role": _ROLES[role], "content": text}
            for role, text in zip(rest[::2], rest[1::2], strict=True)
        ]
        if before.strip():
            turns.insert(0, {"role": "system", "content": before})
    if turns and turns[-1] == {"role": "assistant", "content": ""}:
        turns.pop()
    return _with_roles(turns, roles)


def _with_roles(turns: Messages, roles: Sequence[str] | None) -> str | Messages:
    if roles is not None and len(roles) == len(turns):
        return [turn | {"role": role} for turn, role in zip(turns, roles, strict=True)]
    if len(turns) == 1:
        return str(turns[0]["content"])
    if [turn["role"] for turn in turns[:2]] == ["user", "user"]:
        turns[0]["role"] = "system"
    return turns


FORMAT = Format(
    name="pro",
    description="`prefix`, `suffix` and `reward` (PRO)",
    matches=has_keys(*_LISTS),
    read=_read,
    rank=50,
)
