"""The lines of common preference datasets, read as prompts of this service. Pure.

A line's format is told by its keys:

- ``responses``: this service's own; with ``preferences``, ``prompt_id`` or ``dataset`` it may have
  other columns too, which are left out;
- ``instruction`` and ``completions``: UltraFeedback and its like (``ultrafeedback_format.py``);
- ``prefix``, ``suffix`` and ``reward``: PRO's rankings (``ranking_format.py``);
- ``fields``: a record that Argilla exported (``argilla_format.py``);
- ``data`` and ``annotations``: a task that Label Studio exported (``label_studio_format.py``);
- ``response_a`` and ``response_b``, or ``_1`` and ``_2``: a table's row (``pair_format.py``);
- ``chosen`` and ``rejected``: transcripts as Anthropic's HH has them (``transcripts.py``), or TRL's
  preference format (``trl_format.py``).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.errors import InvalidInput
from app.formats.argilla import read_record
from app.formats.label_studio import read_task
from app.formats.place import Place
from app.formats.pro import read_ranking
from app.formats.side_by_side import has_sides, read_pair
from app.formats.transcripts import looks_like_transcript, split_transcripts
from app.formats.trl import split_conversations, split_strings
from app.formats.ultrafeedback import read_completions
from app.formats.values import (
    Preference,
    ReadLine,
    annotator_name,
    number,
    objects,
    strength_of,
)

__all__ = ["AN_ARRAY", "Preference", "ReadLine", "read_line"]

AN_ARRAY = "a JSON array: send the objects in it, one a line"

_MULTI_ONLY = frozenset({"preferences", "prompt_id", "dataset"})
_PROMPT_FIELDS = ("prompt", "embedding", "metadata")
_RESPONSE_FIELDS = ("id", "text", "model", "score", "reference", "metadata", "embedding")


def read_line(line: Any) -> ReadLine:
    """Read a line of any known format.

    Raises:
        InvalidInput: it has none of them, or contradicts itself; the detail names the field.
    """
    if isinstance(line, list):
        raise InvalidInput(AN_ARRAY)
    if not isinstance(line, dict):
        raise InvalidInput("a line must be a JSON object")
    for has_keys, read in _FORMATS:
        if has_keys(line):
            return read(line)
    raise InvalidInput(
        "no known format: a line has `prompt` and `responses`, or `chosen` and `rejected`,"
        " or `response_a` and `response_b`, or `instruction` and `completions`, or is a record"
        " of PRO, Argilla or Label Studio"
    )


def _read_own(line: dict[str, Any]) -> ReadLine:
    return _read_multi(line) if _MULTI_ONLY & line.keys() else ReadLine(line)


def _read_multi(line: dict[str, Any]) -> ReadLine:
    responses = [
        {name: each[name] for name in _RESPONSE_FIELDS if name in each}
        for each in objects(line, "responses")
    ]
    prompt: dict[str, Any] = {name: line[name] for name in _PROMPT_FIELDS if name in line}
    prompt |= {"id": line.get("id", line.get("prompt_id")), "responses": responses}
    if "dataset" in line and "metadata" not in line:
        prompt["metadata"] = {"dataset": line["dataset"]}
    names: dict[Place, str] = {} if "id" in line else {("id",): "prompt_id"}
    return ReadLine(prompt, _read_preferences(line, responses), names)


def _read_preferences(
    line: dict[str, Any], responses: Sequence[Mapping[str, Any]]
) -> list[Preference]:
    if line.get("preferences") is None:
        return []
    places = {
        each["id"]: place for place, each in enumerate(responses) if isinstance(each.get("id"), str)
    }
    return [
        _read_preference(each, f"preferences.{at}", places)
        for at, each in enumerate(objects(line, "preferences"))
    ]


def _read_preference(vote: Mapping[str, Any], where: str, places: Mapping[str, int]) -> Preference:
    sides = {}
    for side in ("a", "b"):
        name = vote.get(side)
        if not isinstance(name, str) or name not in places:
            raise InvalidInput(f"{where}.{side}: no response of this line has that id")
        sides[side] = places[name]
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


def _read_chosen(line: dict[str, Any]) -> ReadLine:
    chosen, rejected, prompt = line["chosen"], line["rejected"], line.get("prompt")
    if isinstance(chosen, list) and isinstance(rejected, list):
        split = split_conversations(prompt, chosen, rejected)
    elif not isinstance(chosen, str) or not isinstance(rejected, str):
        raise InvalidInput("chosen, rejected: must both be strings, or both lists of messages")
    elif prompt is not None:
        split = prompt, chosen, rejected
    elif looks_like_transcript(chosen) and looks_like_transcript(rejected):
        split = split_transcripts(chosen, rejected)
    else:
        split = split_strings(chosen, rejected)
    content, preferred, other = split
    responses = [
        {"text": preferred, "score": number(line.get("score_chosen"))},
        {"text": other, "score": number(line.get("score_rejected"))},
    ]
    names: dict[Place, str] = {
        ("responses",): "chosen, rejected",
        ("responses", 0): "chosen",
        ("responses", 1): "rejected",
        ("responses", 0, "text"): "chosen",
        ("responses", 1, "text"): "rejected",
    }
    return ReadLine({"prompt": content, "responses": responses}, [Preference((0, 1), 0)], names)


def _has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda line: all(name in line for name in names)


_FORMATS: Sequence[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], ReadLine]]]
_FORMATS = (
    (lambda line: "fields" in line and "prompt" not in line, read_record),
    (_has("responses"), _read_own),
    (_has("completions", "instruction"), read_completions),
    (_has("prefix", "suffix", "reward"), read_ranking),
    (_has("data", "annotations"), read_task),
    (_has("chosen", "rejected"), _read_chosen),
    (has_sides, read_pair),
)
