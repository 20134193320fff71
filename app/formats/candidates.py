"""Which columns of a record hold the responses: decided by names, never by position. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from app.errors import InvalidInput, Location
from app.formats.asked import PROMPTS, Asked, prompt_column, read_asked
from app.formats.completions import response_in
from app.formats.format import ReadLine
from app.formats.meaning import meaning_of
from app.formats.preferences import MAX_RANKED
from app.formats.row import Row

_NUMBERED: Final = re.compile(
    r"(.*?)(?:[-_ ]*\d+|[-_ ]+[A-Za-z]|(?<=[a-z])[A-Z]|\A[A-Za-z]"
    r"|(?:\A|[-_ ]+)(?:one|two|three|four|five|six|first|second|third|left|right))",
    re.DOTALL,
)
_RESPONSES: Final = {
    "",
    "answer", "answers", "assistant", "bot", "candidate", "chatbot", "completion", "generated",
    "generation", "model", "option", "output", "reply", "response", "result", "summary", "system",
    "text",
}  # fmt: skip
"""What a family of responses is called; nothing, where they are called ``a`` and ``b``."""
_MAX_NAME_CHARACTERS: Final = 64
_NOT_LETTERS: Final = re.compile(r"[\W_]")


def find_candidates(row: Row, named: Collection[str]) -> list[str]:
    """The columns that hold the responses, in the order of the record.

    Those are the columns that labels name, with their family: ``response_1`` stands for
    ``response_2`` too. Without names, they are the one family of columns called like responses.

    Args:
        row: the record.
        named: columns that the labels name, all of which the record has.

    Raises:
        InvalidInput: which columns they are is not sure.
    """
    asked = prompt_column(row)
    texts = [name for name in row.names() if name != asked and _may_be_response(row, name)]
    stems = {name: _stem(name) for name in texts}
    if named:
        families = {stem for name, stem in stems.items() if name in named}
        found = [name for name in texts if name in named or stems[name] in families]
        if len(found) > 1:
            return found
    else:
        sizes = Counter(stem for stem in stems.values() if stem.strip("-_ ") in _RESPONSES)
        families = {stem for stem, size in sizes.items() if size > 1}
        if len(families) == 1:
            return [name for name in texts if stems[name] in families]
    if len(texts) < 2:
        raise InvalidInput(f"{row.place}: has fewer than two responses beside the prompt")
    raise InvalidInput(
        f"{row.place}: which columns hold the responses is not sure ({', '.join(texts[:5])}): call"
        " them response_1, response_2 and so on"
    )


def _may_be_response(row: Row, name: str) -> bool:
    return isinstance(row.peek(name), str) and name not in PROMPTS and meaning_of(name) is None


def _stem(name: str) -> str:
    """``response`` of ``response_1`` and ``responseB``, and nothing of ``a`` and ``two``.

    A name without a number or a letter is its own.
    """
    found = _NUMBERED.fullmatch(name) if len(name) <= _MAX_NAME_CHARACTERS else None
    return name if found is None else found.group(1).lower()


class Columns:
    """The columns of a record, to be found by what controls call them."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._alike: dict[str, list[str]] = {}
        for name in row.names():
            self._alike.setdefault(_letters(name), []).append(name)

    def find(self, name: str) -> str | None:
        """The column of that name, or the only one that is alike; None where it is not sure.

        ``text1`` is the column ``text_1``; capitals and punctuation do not count.
        """
        if self._row.has(name):
            return name
        alike = self._alike.get(_letters(name), [])
        return alike[0] if len(alike) == 1 else None


def _letters(name: str) -> str:
    return _NOT_LETTERS.sub("", name.lower())


def read_candidates(row: Row, names: Sequence[str]) -> tuple[ReadLine, dict[str, int]]:
    """Read the prompt of a record and the responses in these columns, with the index of each.

    Raises:
        InvalidInput: there is no prompt, there are too many responses, or one is malformed.
    """
    asked = _asked(row)
    return _record(
        row, asked, {name: response_in(row, name, asked.content) for name in _few(row, names)}
    )


def read_items(row: Row, texts: Mapping[str, Any]) -> tuple[ReadLine, dict[str, int]]:
    """Read the prompt of a record whose responses, by their ids, are texts that were found.

    Raises:
        InvalidInput: there is no prompt, or there are too many responses.
    """
    asked = _asked(row)
    return _record(row, asked, {name: {"text": texts[name]} for name in _few(row, list(texts))})


def _few(row: Row, names: Sequence[str]) -> Sequence[str]:
    if len(names) > MAX_RANKED:
        raise InvalidInput(f"{row.place}: has {len(names)} responses, more than {MAX_RANKED}")
    return names


def _asked(row: Row) -> Asked:
    asked = read_asked(row)
    if asked is None:
        raise InvalidInput(f"{row.place}: has no prompt, instruction, question or input")
    return asked


def _record(
    row: Row, asked: Asked, found: Mapping[str, dict[str, Any]]
) -> tuple[ReadLine, dict[str, int]]:
    called: dict[Location, str] = {("prompt",): asked.name, ("responses",): row.place}
    for index, name in enumerate(found):
        called[("responses", index)] = called[("responses", index, "text")] = row.where(name)
    responses = [{"id": name} | response for name, response in found.items()]
    read = ReadLine(asked.fields() | {"responses": responses}, names=called)
    return read, {name: index for index, name in enumerate(found)}
