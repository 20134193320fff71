"""Argilla's exported records, with their labels. Pure.

A record has ``fields``: the prompt (``prompt``, ``instruction``, ``input`` or ``question``) and the
candidates (every other one that holds a text). Its ``responses`` hold, by question, what each user
answered: the name of a candidate, or a ranking ``[{"value", "rank"}]`` of them. Both forms are
read: Argilla 2's object by question, and Argilla 1's list by user. Drafts and discarded answers are
no labels; suggestions are a model's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from app.errors import InvalidInput
from app.prompts.line_values import Preference, ReadLine, annotator_name, ranked
from app.prompts.places import Place

_PROMPTS = ("prompt", "instruction", "input", "question")
_NOT_SUBMITTED = ("draft", "discarded", "pending")
_TIES = frozenset({"tie", "both", "equal", "same"})


def read_record(line: dict[str, Any]) -> ReadLine:
    """Read a record.

    Raises:
        InvalidInput: it has no prompt among its fields, or no candidates.
    """
    fields = line["fields"]
    if not isinstance(fields, dict):
        raise InvalidInput("fields: must be an object")
    asked = next((name for name in _PROMPTS if name in fields), None)
    if asked is None:
        raise InvalidInput("fields: has no prompt, instruction, input or question")
    named = [name for name, value in fields.items() if name != asked and isinstance(value, str)]
    if len(named) < 2:
        raise InvalidInput("fields: has fewer than two responses beside the prompt")
    prompt = {
        "prompt": fields[asked],
        "responses": [{"id": name, "text": fields[name]} for name in named],
    }
    own_id = line.get("external_id", line.get("id"))
    if isinstance(own_id, str) and own_id:
        prompt["id"] = own_id
    names: dict[Place, str] = {("prompt",): f"fields.{asked}", ("responses",): "fields"}
    names |= {("responses", place, "text"): f"fields.{name}" for place, name in enumerate(named)}
    places = {name: place for place, name in enumerate(named)}
    votes = [
        vote
        for user, value in _answers(line.get("responses"))
        for vote in _votes(value, places, user)
    ]
    return ReadLine(prompt, votes, names)


def _answers(responses: Any) -> Iterator[tuple[str, Any]]:
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


def _votes(value: Any, places: Mapping[str, int], user: str) -> list[Preference]:
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


def _choice(chosen: str, places: Mapping[str, int], user: str) -> list[Preference]:
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
