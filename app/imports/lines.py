"""Read the lines of an import as prompts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from app.errors import InvalidInput, Location, dotted
from app.formats.column_map import ColumnMap, renamed
from app.formats.format import Preference, ReadLine
from app.formats.json import parse_json, refuse_repeated_keys
from app.formats.registry import AN_ARRAY, read_line
from app.imports.joining import NumberedRead, RowJoiner
from app.imports.line_splitter import Line
from app.imports.schemas import RejectedLine
from app.prompts.incoming import IncomingPrompt, incoming_prompts
from app.prompts.schemas import NewPrompt
from app.settings import MAX_LINE_BYTES

_MAX_ERRORS_TOLD = 3
_MAX_KEY_CHARACTERS = 100
_ALONE = (
    "completion: the only row of its prompt here: rows of one prompt must stand together, with the"
    " same id if they have any (sort the file by prompt)"
)


@dataclass(frozen=True, slots=True)
class GoodLine:
    """A line that holds a prompt, or the first of those that hold it together."""

    number: int
    prompt: IncomingPrompt
    preferences: Sequence[Preference]
    """By the indexes of the responses that are kept."""
    labels_left_out: str | None
    """Why the line has no preference, or not all that it carried; None where it has them all."""
    left_out: Sequence[str]
    """The columns that were left out."""


ReadLines = tuple[list[GoodLine], list[RejectedLine]]
"""The lines that hold a prompt, and those that are refused."""


class LineReader:
    """Reads lines of any known format, some at a time.

    A prompt whose responses stand in rows of their own is given with the lines that follow it, or
    by ``finish``.
    """

    def __init__(self, *, keep_extra: bool = False, columns: ColumnMap | None = None) -> None:
        """``keep_extra``: put the columns that are left out into the prompts' metadata.

        ``columns``: the names that columns are read by, where those are not their own.
        """
        self._keep_extra = keep_extra
        self._columns = columns or {}
        self._joiner = RowJoiner()

    def read(self, lines: Sequence[Line]) -> ReadLines:
        """Read the lines that come next."""
        found: list[NumberedRead] = []
        bad: list[RejectedLine] = []
        for line in lines:
            try:
                read = _read(line, self._columns, keep_extra=self._keep_extra)
            except InvalidInput as error:
                # The JSON parser takes the line for a whole body.
                detail = error.detail.removeprefix("body.").replace("(line 1, column", "(column")
                bad.append(RejectedLine(line=line.number, detail=detail))
                continue
            found += self._joiner.add(line.number, read)
        good, refused = _prompts(found)
        return good, bad + refused

    def finish(self) -> ReadLines:
        """Read what is left when no more lines come."""
        return _prompts(self._joiner.finish())


def read_lines(lines: Sequence[Line], *, keep_extra: bool = False) -> ReadLines:
    """Read all the lines of a file, as ``LineReader`` does."""
    reader = LineReader(keep_extra=keep_extra)
    good, bad = reader.read(lines)
    more_good, more_bad = reader.finish()
    return good + more_good, bad + more_bad


def _prompts(found: Sequence[NumberedRead]) -> ReadLines:
    valid: list[NumberedRead] = []
    sent: list[NewPrompt] = []
    bad: list[RejectedLine] = []
    for each in found:
        if each.read.is_desirable is not None and len(each.read.prompt["responses"]) == 1:
            bad.append(RejectedLine(line=each.numbers[0], detail=_ALONE))
            continue
        try:
            sent.append(NewPrompt.model_validate(each.read.prompt))
        except ValidationError as error:
            detail = _detail(error, each.read)
            bad += [RejectedLine(line=number, detail=detail) for number in each.numbers]
        else:
            valid.append(each)
    return list(map(_good_line, valid, incoming_prompts(sent))), bad


def _good_line(found: NumberedRead, prompt: IncomingPrompt) -> GoodLine:
    read = found.read
    preferences = _between_kept(read.preferences, prompt)
    lost = len(read.preferences) - len(preferences)
    reason = None
    if lost:
        reason = f"{lost} of {len(read.preferences)} preferences: about an empty or repeated text"
    elif not preferences:
        reason = read.no_label
    return GoodLine(found.numbers[0], prompt, preferences, reason, read.left_out)


def _read(line: Line, columns: ColumnMap, *, keep_extra: bool) -> ReadLine:
    value, ignored = renamed(parsed(line), columns)
    read = read_line(value, keep_extra=keep_extra)
    return replace(read, left_out=sorted({*read.left_out, *ignored})) if ignored else read


def parsed(line: Line) -> Any:
    """What a line says.

    Raises:
        InvalidInput: it is no JSON, or too long.
    """
    if line.content is None:
        raise InvalidInput(line.fault or f"the line is over {MAX_LINE_BYTES} bytes")
    content = line.content
    try:
        value = parse_json(content)
    except InvalidInput:
        if content.lstrip().startswith(b"["):
            raise InvalidInput(AN_ARRAY) from None
        raise
    refuse_repeated_keys(content, value)
    return value


def _between_kept(preferences: Sequence[Preference], prompt: IncomingPrompt) -> list[Preference]:
    """The preferences by the indexes of the responses kept: a duplicate counts as the first.

    Those that concern an empty response, or two with the same text, are left out.
    """
    kept_as = prompt.kept.kept_as
    moved = []
    for each in preferences:
        first, second = (kept_as.get(index) for index in each.responses)
        if first is None or second is None or first == second:
            continue
        preferred = None if each.preferred is None else kept_as[each.preferred]
        moved.append(replace(each, responses=(first, second), preferred=preferred))
    return moved


def _detail(error: ValidationError, read: ReadLine) -> str:
    errors: list[Any] = error.errors(include_input=False, include_url=False, include_context=False)
    details = [
        f"{_named(each['loc'], read)}: {each['msg'].removeprefix('Value error, ')}"
        for each in errors[:_MAX_ERRORS_TOLD]
    ]
    if len(errors) > _MAX_ERRORS_TOLD:
        details.append(f"and {len(errors) - _MAX_ERRORS_TOLD} more")
    return "; ".join(details)


def _named(location: Location, read: ReadLine) -> str:
    """A location by the line's own names. Keys are cut: the caller may send any."""
    cut = tuple(part[:_MAX_KEY_CHARACTERS] if isinstance(part, str) else part for part in location)
    for end in range(len(cut), 0, -1):
        name = read.names.get(cut[:end])
        if name is not None:
            return dotted((name, *cut[end:]))
    return dotted(cut)
