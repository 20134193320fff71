"""Argilla's exported records, with their labels. Pure.

A record has ``fields``: the prompt, and the candidates. Which fields are candidates is told by the
answers of its ``responses``: the name of a candidate, or a ranking ``[{"value", "rank"}]`` of them.
Both layouts are read: Argilla 2's object by question, and Argilla 1's list by user. Drafts and
discarded answers are not labels, and neither are suggestions, which a model made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.candidates import find_candidates, read_candidates
from app.formats.format import Format, Preference, ReadLine
from app.formats.preferences import best_of, ranked
from app.formats.row import Row, decoded
from app.formats.values import annotator, as_number, identifier, metadata

_NOT_SUBMITTED = ("draft", "discarded", "pending")
_TIES = frozenset({"tie", "both", "equal", "same"})
_BOOKKEEPING: Final = (
    "status",
    "suggestions",
    "vectors",
    "_server_id",
    "inserted_at",
    "updated_at",
)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one user answered to one question."""

    question: str
    value: Any
    user: str | None
    where: str


def _matches(row: Row) -> bool:
    return row.has("fields") and not row.has("prompt")


def _read(row: Row) -> ReadLine:
    row.ignore(*_BOOKKEEPING)
    fields = row.object("fields")
    answers = list(_answers(row))
    named = {name for each in answers for name in _named(each.value) if fields.gives(name)}
    read, index_of = read_candidates(fields, find_candidates(fields, named))
    preferring = _preferring(answers, index_of)
    no_label = "no submitted answer prefers one"
    preferences: list[Preference] = []
    if len(preferring) > 1:
        no_label = f"several questions prefer a response ({', '.join(sorted(preferring)[:5])})"
    else:
        for each in answers:
            if each.question in preferring:
                preferences += _preferences(each, index_of)
    own_id = "external_id" if row.gives("external_id") else "id"
    prompt = read.prompt | {"id": identifier(row, own_id), "metadata": metadata(row)}
    return replace(read, prompt=prompt, preferences=preferences, no_label=no_label)


def _preferring(answers: Sequence[_Answer], index_of: Mapping[str, int]) -> set[str]:
    """The questions of which an answer names a response, or the only one if that is a tie."""
    found = {
        each.question for each in answers if any(name in index_of for name in _named(each.value))
    }
    questions = {each.question for each in answers}
    is_tie = all(isinstance(each.value, str) and each.value.lower() == "tie" for each in answers)
    return questions if not found and len(questions) == 1 and is_tie else found


def _answers(row: Row) -> Iterator[_Answer]:
    responses = row.structure("responses")
    if isinstance(responses, dict):
        for question, given in responses.items():
            if isinstance(given, list):
                place = f"responses.{question}"
                for each in _submitted(given, place):
                    yield _Answer(question, each.take("value"), _user(each), each.place)
    elif isinstance(responses, list):
        for each in _submitted(responses, "responses"):
            values = each.take("values")
            for question, value in values.items() if isinstance(values, dict) else ():
                inner = value.get("value") if isinstance(value, dict) else value
                yield _Answer(question, inner, _user(each), f"{each.place}.values.{question}")


def _submitted(given: Sequence[Any], place: str) -> Iterator[Row]:
    for number, each in enumerate(given):
        if isinstance(each, dict) and each.get("status") not in _NOT_SUBMITTED:
            yield Row(each, f"{place}.{number}")


def _user(answer: Row) -> str | None:
    return annotator(answer, "user_id")


def _named(value: Any) -> Iterator[str]:
    """The candidates that an answer may name."""
    if isinstance(value, str):
        yield value
    for each in _ranks(value):
        if isinstance(each.get("value"), str):
            yield each["value"]


def _ranks(value: Any) -> list[dict[str, Any]]:
    value = decoded(value)
    if not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, dict) and "rank" in each]


def _preferences(answer: _Answer, index_of: Mapping[str, int]) -> list[Preference]:
    """What an answer says about the candidates; answers to other questions say nothing."""
    if isinstance(answer.value, str):
        if answer.value in index_of:
            return best_of(index_of[answer.value], index_of.values(), answer.user)
        if answer.value.lower() in _TIES:
            return ranked(dict.fromkeys(index_of.values(), 0.0), answer.user)
        return []
    levels = {}
    for each in _ranks(answer.value):
        rank, name = as_number(each["rank"]), each.get("value")
        if not isinstance(name, str) or name not in index_of:
            raise InvalidInput(f"{answer.where}: ranks something that is no response of the record")
        if rank is not None:
            levels[index_of[name]] = -rank  # the first rank is the best
    return ranked(levels, answer.user)


FORMAT = Format(
    name="argilla",
    description="`fields` (an Argilla record)",
    matches=_matches,
    read=_read,
    rank=10,  # Argilla's records have `responses` too, as our own lines do.
)
