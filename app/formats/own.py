"""This service's own form: the body of ``POST /prompts``, with preferences if there are any. Pure.

``prompt_id`` stands for ``id``, and ``dataset`` becomes metadata, as benchmarks publish such files.
Each of ``preferences`` is a vote on two responses, named by their ids: ``{"a", "b", "winner",
"annotator", "strength"}``.
"""

from collections.abc import Mapping
from typing import Any

from app.errors import InvalidInput, Location
from app.formats.asked import read_asked
from app.formats.format import Format, Preference, ReadLine
from app.formats.row import Row
from app.formats.values import annotator, as_name, flag, identifier, number, strength, text_or_empty

_WINNERS = ("a", "b", "tie", "both_bad")


def _matches(row: Row) -> bool:
    # A record of Argilla has `responses` too, beside its `fields`.
    return row.has("responses")


def _read(row: Row) -> ReadLine:
    asked = read_asked(row)
    parts = row.objects("responses")
    responses = [response(part, {"text": text_or_empty(part.take("text"))}) for part in parts]
    own_id = "id" if row.gives("id") else "prompt_id"
    prompt: dict[str, Any] = {"id": identifier(row, own_id), "responses": responses}
    names: dict[Location, str] = {("id",): own_id}
    if asked is not None:
        prompt |= asked.fields()
        names[("prompt",)] = asked.name
    prompt |= _more(row)
    return ReadLine(
        prompt,
        _preferences(row, responses),
        names,
        no_label="the line has no `preferences`",
    )


def response(part: Row, said: dict[str, Any]) -> dict[str, Any]:
    """A response of an object, of which the text is known, as ``POST /prompts`` takes it."""
    found: dict[str, Any] = {"id": identifier(part, "id")} | said
    found["model"] = identifier(part, "model")
    found["score"] = number(part, "score")
    if part.gives("reference"):
        found["reference"] = flag(part, "reference")
    if part.gives("round"):
        told = number(part, "round")
        found["round"] = int(told) if told is not None and told.is_integer() else told
    return found | _structures(part, "metadata", "embedding", "tool_calls")


def _structures(row: Row, *names: str) -> dict[str, Any]:
    """Columns as they were sent, even where a list or an object in them is empty."""
    return {name: row.structure(name) for name in names if row.peek(name) not in (None, "")}


def _more(row: Row) -> dict[str, Any]:
    more = _structures(row, "embedding", "metadata")
    if row.gives("dataset") and "metadata" not in more:
        more["metadata"] = {"dataset": row.take("dataset")}
    return more


def _preferences(row: Row, responses: list[dict[str, Any]]) -> list[Preference]:
    if not row.gives("preferences"):
        return []
    index_of = {each["id"]: index for index, each in enumerate(responses) if each["id"] is not None}
    return [_preference(vote, index_of) for vote in row.objects("preferences")]


def _preference(vote: Row, index_of: Mapping[str, int]) -> Preference:
    sides = {}
    for side in ("a", "b"):
        named = identifier(vote, side)
        if named is None or named not in index_of:
            raise InvalidInput(f"{vote.where(side)}: no response of this line has that id")
        sides[side] = index_of[named]
    winner = vote.take("winner")
    if winner not in _WINNERS:
        raise InvalidInput(f"{vote.where('winner')}: must be a, b, tie or both_bad")
    preferred = sides.get(as_name(winner))
    return Preference(
        (sides["a"], sides["b"]),
        preferred,
        annotator(vote, "annotator"),
        strength=strength(vote, preferred),
        both_bad=winner == "both_bad",
    )


FORMAT = Format(
    name="own",
    description="`prompt` and `responses`",
    matches=_matches,
    read=_read,
    rank=20,
)
