"""Two responses side by side, and which won: the columns of a table, or of an arena. Pure.

``prompt`` (or another column that holds one), ``response_a`` and ``response_b`` (or ``response_1``
and ``response_2``, with or without the underscore, or ``conversation_a`` and ``conversation_b``).
``winner``, ``annotator``, ``strength`` (1 to 3), ``id``, ``model_a`` and ``model_b`` (or ``_1`` and
``_2``) may be left out. The winner is a letter, a number, a column or a model, or ``tie`` or
``both_bad``; or three columns ``winner_model_a``, ``winner_model_b`` and ``winner_tie``, of which
one is 1. Arenas write a prompt and its responses as lists with a string for each turn.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.errors import InvalidInput
from app.formats.asked import prompt_column
from app.formats.completions import read_two
from app.formats.format import Format, Preference, ReadLine
from app.formats.row import Row, decoded
from app.formats.values import annotator, as_name, as_whole, flag, identifier, metadata, strength

_SIDE: Final = re.compile(r"_?(\d|[a-z])")
_LIST_OF_STRINGS: Final = re.compile(r"\s*\[\s*(['\"]|null)")
_TIES = frozenset({"tie", "both", "equal", "same", "draw"})
_BOTH_BAD = frozenset({"both_bad", "bothbad", "both bad", "tie (bothbad)", "neither"})


@dataclass(frozen=True, slots=True)
class _Sides:
    """How the columns of the two responses are called: ``response`` and ``_a``, ``_b``."""

    stem: str
    ends: tuple[str, str]

    @property
    def names(self) -> tuple[str, str]:
        return self.stem + self.ends[0], self.stem + self.ends[1]

    @property
    def letters(self) -> tuple[str, str]:
        return self.ends[0].strip("_"), self.ends[1].strip("_")


_KNOWN = tuple(
    _Sides(stem, ends)
    for stem in ("response", "conversation")
    for ends in (("_a", "_b"), ("_1", "_2"), ("1", "2"))
)


def _sides(row: Row) -> list[_Sides]:
    return [sides for sides in _KNOWN if all(map(row.has, sides.names))]


def _matches(row: Row) -> bool:
    return bool(_sides(row))


def _read(row: Row) -> ReadLine:
    sides, *others = _sides(row)
    if others:
        both = ", ".join((*sides.names, *others[0].names))
        raise InvalidInput(f"{both}: which two are compared is not sure")
    _refuse_a_third(row, sides)
    _put_arena_turns(row, sides)
    read = read_two(row, sides.names)
    names = dict(read.names)
    for index, end in enumerate(sides.ends):
        read.prompt["responses"][index]["model"] = identifier(row, f"model{end}")
        names[("responses", index, "model")] = f"model{end}"
    preferences, no_label = _preferences(row, sides)
    return replace(
        read,
        prompt=read.prompt | {"id": identifier(row, "id"), "metadata": metadata(row)},
        preferences=preferences,
        names=names,
        no_label=no_label,
    )


def _refuse_a_third(row: Row, sides: _Sides) -> None:
    for name in row.names():
        is_side = name.startswith(sides.stem) and _SIDE.fullmatch(name.removeprefix(sides.stem))
        if is_side and name not in sides.names:
            raise InvalidInput(
                f"{name}: only two responses stand side by side; more go into a list `responses`"
            )


def _put_arena_turns(row: Row, sides: _Sides) -> None:
    """Read the prompt and the responses as a conversation each, where they are lists of strings."""
    asked = prompt_column(row)
    if asked is None:
        return
    given = [row.peek(name) for name in (asked, *sides.names)]
    columns = [decoded(value) for value in given]
    if not all(map(_is_turns, columns)) or len({len(column) for column in columns}) != 1:
        if _looks_like_turns(given[0]) and any(map(_looks_like_turns, given[1:])):
            names = ", ".join((asked, *sides.names))
            raise InvalidInput(f"{names}: must be lists of as many strings, or texts")
        return
    questions, *answers = columns
    for name, said in zip(sides.names, answers, strict=True):
        row.put(name, said[0] if len(said) == 1 else _conversation(questions, said))
    if len(questions) == 1:
        row.put(asked, questions[0])
    else:
        row.ignore(asked)


def _looks_like_turns(value: Any) -> bool:
    """Whether a value is a list, or a text that begins like a list of strings."""
    return isinstance(value, list) or (
        isinstance(value, str) and _LIST_OF_STRINGS.match(value) is not None
    )


def _is_turns(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(each is None or isinstance(each, str) for each in value)
    )


def _conversation(questions: Sequence[Any], answers: Sequence[Any]) -> list[dict[str, str]]:
    return [
        {"role": role, "content": said or ""}
        for exchange in zip(questions, answers, strict=True)
        for role, said in zip(("user", "assistant"), exchange, strict=True)
    ]


def _preferences(row: Row, sides: _Sides) -> tuple[list[Preference], str]:
    """The vote of the line, and why there is none."""
    told = _winner(row, sides)
    who = annotator(row, "annotator")
    if not told:
        row.take("strength")
        return [], "`winner` is empty" if row.has("winner") else "the line has no `winner`"
    preferred = _preferred(row, sides, told)
    vote = Preference(
        (0, 1),
        preferred,
        who,
        strength=strength(row, preferred),
        both_bad=told.lower() in _BOTH_BAD,
    )
    return [vote], ""


def _winner(row: Row, sides: _Sides) -> str:
    """What the line calls its winner; empty where it has none."""
    hot = _one_hot(row, sides)
    winner = row.take("winner")
    if isinstance(winner, list | dict):
        raise InvalidInput(f"winner: must be {_known(sides)}")
    told = "" if winner is None else as_name(as_whole(winner)).strip()
    if hot is None:
        return told
    if told and _preferred(row, sides, told) != _preferred(row, sides, hot):
        raise InvalidInput("winner: differs from the columns of which one is 1")
    return hot


def _preferred(row: Row, sides: _Sides, told: str) -> int | None:
    """The index of the side that the winner names; None: a tie, or both are bad."""
    models = [identifier(row, f"model{end}") for end in sides.ends]
    found = {
        index
        for index, (letter, end) in enumerate(zip(sides.letters, sides.ends, strict=True))
        if told.lower() in {letter, sides.names[index], f"model{end}"} or told == models[index]
    }
    if told.lower() in _TIES | _BOTH_BAD and not found:
        return None
    if len(found) != 1:
        raise InvalidInput(f"winner: must be {_known(sides)}")
    return found.pop()


def _known(sides: _Sides) -> str:
    return f"{sides.letters[0]}, {sides.letters[1]}, tie or both_bad"


def _one_hot(row: Row, sides: _Sides) -> str | None:
    """The winner of three columns of which one is 1; None where the line has no such columns."""
    columns = {f"winner_model{end}": end.strip("_") for end in sides.ends}
    if not all(map(row.has, columns)):
        return None
    columns["winner_tie"] = "tie"
    if not any(map(row.gives, columns)):
        return None
    told = [letter for name, letter in columns.items() if flag(row, name)]
    if len(told) != 1:
        raise InvalidInput(f"{', '.join(columns)}: one of them must be 1, and the others 0")
    return told[0]


FORMAT = Format(
    name="side-by-side",
    description="`response_a` and `response_b`",
    matches=_matches,
    read=_read,
    rank=90,
)
