"""Many responses and many votes: the own form with ``preferences``, as benchmarks publish it. Pure.

``prompt_id`` stands for ``id``, and ``dataset`` becomes metadata. Each vote names two responses by
id, ``{"a", "b", "winner", "annotator", "strength"}``. Other columns are left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import InvalidInput, Location
from app.formats.columns import annotator_name, objects, strength_of
from app.formats.format import Format, Line, Preference, ReadLine

_KEYS = frozenset({"preferences", "prompt_id", "dataset"})
_PROMPT_FIELDS = ("prompt", "embedding", "metadata")
_RESPONSE_FIELDS = ("id", "text", "model", "score", "reference", "metadata", "embedding")


def _matches(line: Line) -> bool:
    return "responses" in line and not _KEYS.isdisjoint(line)


def _read(line: Line) -> ReadLine:
    responses = [
        {name: each[name] for name in _RESPONSE_FIELDS if name in each}
        for each in objects(line, "responses")
    ]
    prompt: dict[str, Any] = {name: line[name] for name in _PROMPT_FIELDS if name in line}
    prompt |= {"id": line.get("id", line.get("prompt_id")), "responses": responses}
    if "dataset" in line and "metadata" not in line:
        prompt["metadata"] = {"dataset": line["dataset"]}
    names: dict[Location, str] = {} if "id" in line else {("id",): "prompt_id"}
    return ReadLine(prompt, _preferences(line, responses), names)


def _preferences(line: Line, responses: Sequence[Mapping[str, Any]]) -> list[Preference]:
    if line.get("preferences") is None:
        return []
    index_of = {
        each["id"]: index for index, each in enumerate(responses) if isinstance(each.get("id"), str)
    }
    return [
        _preference(vote, f"preferences.{number}", index_of)
        for number, vote in enumerate(objects(line, "preferences"))
    ]


def _preference(vote: Mapping[str, Any], where: str, index_of: Mapping[str, int]) -> Preference:
    sides = {}
    for side in ("a", "b"):
        response_id = vote.get(side)
        if not isinstance(response_id, str) or response_id not in index_of:
            raise InvalidInput(f"{where}.{side}: no response of this line has that id")
        sides[side] = index_of[response_id]
    winner = vote.get("winner")
    if winner not in ("a", "b", "tie", "both_bad"):
        raise InvalidInput(f"{where}.winner: must be a, b, tie or both_bad")
    preferred = sides.get(winner)
    return Preference(
        (sides["a"], sides["b"]),
        preferred,
        annotator_name(vote.get("annotator"), f"{where}.annotator"),
        strength=strength_of(vote.get("strength"), preferred, f"{where}.strength"),
        both_bad=winner == "both_bad",
    )


FORMAT = Format(
    name="votes",
    description="`responses` with `preferences` between them",
    matches=_matches,
    read=_read,
    rank=20,
)
