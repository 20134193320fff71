"""Which columns of a record hold the responses: decided by names, never by position. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from app.errors import InvalidInput, Location
from app.formats.asked import PROMPTS, prompt_column, read_asked
from app.formats.format import ReadLine
from app.formats.meaning import meaning_of
from app.formats.row import Row
from app.formats.values import text_or_empty

_NUMBERED: Final = re.compile(
    r"(.*?)(?:[-_ ]*\d+|[-_ ]+[A-Za-z]|(?<=[a-z])[A-Z]|\A[A-Za-z]"
    r"|(?:\A|[-_ ]+)(?:one|two|three|four|five|six|first|second|third|left|right))",
    re.DOTALL,
)
_NOT_LETTERS: Final = re.compile(r"[\W_]")


def find_candidates(row: Row, named: Collection[str]) -> list[str]:
    """The columns that hold the responses, in the order of the record.

    Those are the columns that a label names, with their family: ``response_1`` stands for
    ``response_2`` too. Without names, they are the one family of numbered or lettered columns; or
    the only two columns with a string, beside the prompt.

    Args:
        row: the record.
        named: columns that the labels name, all of which the record has.

    Raises:
        InvalidInput: which columns they are is not sure.
    """
    texts = [name for name in row.names() if _may_be_response(row, name)]
    families: dict[str, list[str]] = {}
    for name in texts:
        families.setdefault(_stem(name), []).append(name)
    if named:
        found = [name for name in texts if name in named or _is_relative(name, named, families)]
        if len(found) > 1:
            return found
    else:
        numbered = [family for family in families.values() if len(family) > 1]
        if len(numbered) == 1:
            return numbered[0]
    if len(texts) == 2:
        return texts
    if len(texts) < 2:
        raise InvalidInput(f"{row.place}: has fewer than two responses beside the prompt")
    raise InvalidInput(
        f"{row.place}: which columns hold the responses is not sure ({', '.join(texts[:5])})"
    )


def _may_be_response(row: Row, name: str) -> bool:
    return (
        isinstance(row.peek(name), str)
        and name != prompt_column(row)
        and name not in PROMPTS
        and meaning_of(name) is None
    )


def _stem(name: str) -> str:
    """``response`` of ``response_1`` and ``responseB``, and nothing of ``a`` and ``two``.

    A name without a number or a letter is its own.
    """
    found = _NUMBERED.fullmatch(name)
    return name if found is None else found.group(1).lower()


def _is_relative(name: str, named: Collection[str], families: Mapping[str, list[str]]) -> bool:
    family = families[_stem(name)]
    return len(family) > 1 and any(other in family for other in named)


def find_column(row: Row, name: str) -> str | None:
    """The column that a control calls ``name``: of that name, or the only one that is alike.

    ``text1`` is the column ``text_1``; capitals and punctuation do not count.
    """
    if row.has(name):
        return name
    alike = [each for each in row.names() if _letters(each) == _letters(name)]
    return alike[0] if len(alike) == 1 else None


def _letters(name: str) -> str:
    return _NOT_LETTERS.sub("", name.lower())


def read_candidates(row: Row, names: Sequence[str]) -> tuple[ReadLine, dict[str, int]]:
    """Read the prompt and the responses of a record; gives the index of each column too."""
    return read_record(row, [(name, text_or_empty(row.take(name))) for name in names])


def read_record(row: Row, texts: Sequence[tuple[str, Any]]) -> tuple[ReadLine, dict[str, int]]:
    """Read a record whose responses are found already, as names and texts.

    Raises:
        InvalidInput: there is no prompt, or there are fewer than two responses.
    """
    asked = read_asked(row)
    if asked is None:
        raise InvalidInput(f"{row.place}: has no prompt, instruction, question or input")
    called: dict[Location, str] = {("prompt",): asked.name, ("responses",): row.place}
    for index, (name, _) in enumerate(texts):
        called[("responses", index)] = called[("responses", index, "text")] = row.where(name)
    responses = [{"id": name, "text": text} for name, text in texts]
    read = ReadLine(asked.fields() | {"responses": responses}, names=called)
    return read, {name: index for index, (name, _) in enumerate(texts)}
