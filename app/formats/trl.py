"""``chosen`` and ``rejected``: TRL's preference format, and all that share its columns. Pure.

The prompt stands beside them or in them. So these are read too: Anthropic's HH and other
transcripts, the rows of OpenRLHF, Axolotl (``messages``) and LLaMA-Factory (``conversations``), and
this service's own exports. ``id``, ``annotator`` and ``strength`` may stand beside.
"""

from dataclasses import replace
from typing import Any

from app.errors import InvalidInput
from app.formats.completions import read_two
from app.formats.format import Format, Preference, ReadLine, has_keys
from app.formats.row import Row
from app.formats.values import annotator, identifier, metadata, number, strength

_SIDES = ("chosen", "rejected")


def _read(row: Row) -> ReadLine:
    for side in _SIDES:
        value = row.peek(side)
        if isinstance(value, str) and value not in _SIDES and row.has(value):
            raise InvalidInput(f"{side}: names another column; it must be the text itself")
    read = read_two(row, _SIDES)
    for side, response in zip(_SIDES, read.prompt["responses"], strict=True):
        response |= {
            "id": identifier(row, f"{side}_external_id"),
            "model": identifier(row, f"{side}_model"),
            "score": number(row, f"score_{side}"),
        }
    names = dict(read.names)
    for index, side in enumerate(_SIDES):
        names[("responses", index, "id")] = f"{side}_external_id"
        names[("responses", index, "model")] = f"{side}_model"
    prompt: dict[str, Any] = read.prompt | {"id": _id(row), "metadata": metadata(row)}
    preference = Preference((0, 1), 0, annotator(row, "annotator"), strength(row, 0))
    return replace(read, prompt=prompt, preferences=[preference], names=names)


def _id(row: Row) -> str | None:
    """The caller's id. Exports with metadata have it as ``prompt_external_id``, beside our own."""
    if row.has("prompt_external_id"):
        row.ignore("prompt_id", "chosen_id", "rejected_id")
        return identifier(row, "prompt_external_id")
    return identifier(row, "id" if row.gives("id") else "prompt_id")


FORMAT = Format(
    name="trl",
    description="`chosen` and `rejected` (TRL, Anthropic HH, OpenRLHF, Axolotl, LLaMA-Factory)",
    matches=has_keys("chosen", "rejected"),
    read=_read,
    rank=80,
)
