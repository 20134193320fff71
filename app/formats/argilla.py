"""Argilla's exported records, with their labels. Pure.

A record has ``fields``: the prompt (``prompt``, ``instruction``, ``input`` or ``question``) and the
candidates (every other field that holds a string). Its ``responses`` hold what each user answered
to each question: the name of a candidate, or a ranking ``[{"value", "rank"}]`` of them. Both
layouts are read: Argilla 2's object by question, and Argilla 1's list by user. Drafts and discarded
answers are not labels, and neither are suggestions, which a model made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.formats.columns import annotator_name, ranked
from app.formats.format import Format, Line, Preference, ReadLine
from app.formats.named_responses import read_named

_NOT_SUBMITTED = ("draft", "discarded", "pending")
_TIES = frozenset({"tie", "both", "equal", "same"})


def _matches(line: Line) -> bool:
    return "fields" in line and "prompt" not in line


def _read(line: Line) -> ReadLine:
    read, index_of = read_named(line["fields"], "fields")
    own_id = line.get("external_id", line.get("id"))
    if isinstance(own_id, str) and own_id:
        read.prompt["id"] = own_id
    preferences = [
        preference
        for user, value in _answers(line.get("responses"))
        for preference in _preferences(value, index_of, user)
    ]
    return replace(read, preferences=preferences)


def _answers(responses: Any) -> Iterator[tuple[str | None, Any]]:
    """The user and the value of each submitted answer, whatever the question."""
    if isinstance(responses, dict):
        for question, given in responses.items():
            for number, each in enumerate(given if isinstance(given, list) else []):
                if isinstance(each, dict) and each.get("status") not in _NOT_SUBMITTED:
                    where = f"responses.{question}.{number}.user_id"
                    yield annotator_name(each.get("user_id"), where), each.get("value")
    elif isinstance(responses, list):
        for number, each in enumerate(responses):
            if not isinstance(each, dict) or each.get("status") in _NOT_SUBMITTED:
                continue
            user = annotator_name(each.get("user_id"), f"responses.{number}.user_id")
            values = each.get("values")
            for value in values.values() if isinstance(values, dict) else ():
                yield user, value.get("value") if isinstance(value, dict) else value


def _preferences(value: Any, index_of: Mapping[str, int], user: str | None) -> list[Preference]:
    """What an answer says about the candidates; answers to other questions say nothing."""
    if isinstance(value, str):
        return _choice(value, index_of, user)
    levels = {}
    for each in value if isinstance(value, list) else ():
        if not isinstance(each, dict):
            continue
        rank, name = each.get("rank"), each.get("value")
        if isinstance(rank, int) and isinstance(name, str) and name in index_of:
            # The first rank is the best.
            levels[index_of[name]] = -float(rank)
    return ranked(levels, user)


def _choice(chosen: str, index_of: Mapping[str, int], user: str | None) -> list[Preference]:
    if chosen in index_of:
        best = index_of[chosen]
        return [
            Preference((min(best, other), max(best, other)), best, user)
            for other in index_of.values()
            if other != best
        ]
    if chosen.lower() in _TIES:
        return ranked(dict.fromkeys(index_of.values(), 0.0), user)
    return []


FORMAT = Format(
    name="argilla",
    description="`fields` (an Argilla record)",
    matches=_matches,
    read=_read,
    rank=10,  # Argilla's records have `responses` too, as our own lines do.
)
