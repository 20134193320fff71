"""Argilla's exported records, with their labels. Pure.

A record has ``fields``: the prompt (``prompt``, ``instruction``, ``input`` or ``question``) and the
candidates (every other one that holds a text). Its ``responses`` hold, by question, what each user
answered: the name of a candidate, or a ranking ``[{"value", "rank"}]`` of them. Both forms are
read: Argilla 2's object by question, and Argilla 1's list by user. Drafts and discarded answers are
no labels; suggestions are a model's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from app.formats.named_responses import read_named
from app.formats.values import Preference, ReadLine, annotator_name, ranked

_NOT_SUBMITTED = ("draft", "discarded", "pending")
_TIES = frozenset({"tie", "both", "equal", "same"})


def read_record(line: dict[str, Any]) -> ReadLine:
    """Read a record.

    Raises:
        InvalidInput: it has no prompt among its fields, or no candidates.
    """
    named = read_named(line["fields"], "fields")
    own_id = line.get("external_id", line.get("id"))
    if isinstance(own_id, str) and own_id:
        named.prompt["id"] = own_id
    votes = [
        vote
        for user, value in _answers(line.get("responses"))
        for vote in _votes(value, named.places, user)
    ]
    return ReadLine(named.prompt, votes, named.names)


def _answers(responses: Any) -> Iterator[tuple[str | None, Any]]:
    """Who answered, and what, for each submitted answer to any question."""
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


def _votes(value: Any, places: Mapping[str, int], user: str | None) -> list[Preference]:
    """What an answer says of the candidates; answers to other questions say nothing."""
    if isinstance(value, str):
        return _choice(value, places, user)
    levels = {}
    for each in value if isinstance(value, list) else ():
        rank = each.get("rank") if isinstance(each, dict) else None
        if isinstance(rank, int) and each.get("value") in places:
            # The first rank is the best.
            levels[places[each["value"]]] = -float(rank)
    return ranked(levels, user)


def _choice(chosen: str, places: Mapping[str, int], user: str | None) -> list[Preference]:
    if chosen in places:
        best = places[chosen]
        return [
            Preference((min(best, other), max(best, other)), best, user)
            for other in places.values()
            if other != best
        ]
    if chosen.lower() in _TIES:
        return ranked(dict.fromkeys(places.values(), 0.0), user)
    return []
