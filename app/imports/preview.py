"""Look at the first lines of a file, and tell what an import would make of them."""

from collections import Counter
from collections.abc import AsyncIterable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from app.errors import InvalidInput
from app.formats.column_map import IGNORE, ColumnMap, renamed
from app.formats.meaning import is_empty
from app.formats.registry import find_format
from app.formats.row import Row
from app.imports.line_splitter import Line
from app.imports.lines import GoodLine, LineReader, parsed
from app.imports.schemas import Column, ImportPreview
from app.imports.stream_splitter import StreamSplitter
from app.settings import MAX_LINE_BYTES

PREVIEWED_LINES: Final = 50
_SHOWN_PROMPTS: Final = 3
_MAX_COLUMNS: Final = 200
_MAX_EXAMPLE_CHARACTERS: Final = 200


async def preview_import(
    chunks: AsyncIterable[bytes],
    *,
    is_document: bool = False,
    keep_extra: bool = False,
    columns: ColumnMap | None = None,
) -> ImportPreview:
    """What an import of this stream would make of its first 50 lines. The rest is not read.

    Raises:
        UnsupportedMedia: the stream is another kind of file, or in another encoding.
    """
    lines = await _first_lines(chunks, StreamSplitter(MAX_LINE_BYTES, is_document=is_document))
    reader = LineReader(keep_extra=keep_extra, columns=columns)
    good, rejected = reader.read(lines)
    more_good, more_rejected = reader.finish()
    good += more_good
    rejected += more_rejected
    formats, found = _look_at(lines, columns or {}, refused={each.line for each in rejected})
    left_out = {name for line in good for name in line.left_out}
    return ImportPreview(
        lines=len(lines),
        formats=formats,
        columns=[
            Column(name=name, example=each.example, use=_use(name, each, columns or {}, left_out))
            for name, each in found.items()
        ],
        prompts=[_body(line) for line in good[:_SHOWN_PROMPTS]],
        labels=sum(len(line.preferences) for line in good),
        rejected=sorted(rejected, key=lambda each: each.line),
    )


async def _first_lines(chunks: AsyncIterable[bytes], splitter: StreamSplitter) -> list[Line]:
    lines: list[Line] = []
    async for chunk in chunks:
        for line in splitter.feed(chunk):
            lines.append(line)
            if len(lines) == PREVIEWED_LINES:
                return lines
    lines += splitter.finish()
    return lines[:PREVIEWED_LINES]


@dataclass(slots=True)
class _Found:
    """What is known of a column."""

    example: str = ""
    is_read: bool = False
    """Whether it stands in a line that is not refused."""


def _look_at(
    lines: Sequence[Line], columns: ColumnMap, refused: Collection[int]
) -> tuple[dict[str, int], dict[str, _Found]]:
    """How many lines have which format, and what is known of each column."""
    formats: Counter[str] = Counter()
    found: dict[str, _Found] = {}
    for line in lines:
        try:
            value = parsed(line)
            mapped, _ = renamed(value, columns)
        except InvalidInput:
            continue
        if not isinstance(value, dict) or not isinstance(mapped, dict):
            continue
        matching = find_format(Row(mapped))
        if matching is not None:
            formats[matching.name] += 1
        for name, content in value.items():
            if name not in found and len(found) == _MAX_COLUMNS:
                continue
            column = found.setdefault(name, _Found())
            column.is_read |= line.number not in refused
            if not column.example and not is_empty(content):
                column.example = _example(content)
    return dict(formats.most_common()), found


def _example(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text[:_MAX_EXAMPLE_CHARACTERS]


def _use(name: str, found: _Found, columns: ColumnMap, left_out: Collection[str]) -> Any:
    if columns.get(name) == IGNORE:
        return "ignored"
    if not found.is_read:
        return "unread"
    return "left out" if columns.get(name, name) in left_out else "used"


def _body(line: GoodLine) -> dict[str, Any]:
    """The prompt as it would be stored, without what it does not have."""
    prompt = line.prompt
    named = {
        "id": prompt.external_id,
        "prompt": prompt.content,
        "tools": prompt.tools,
        "metadata": prompt.metadata,
    }
    responses = [
        each.model_dump(mode="json", exclude_defaults=True, exclude={"embedding"})
        for each in prompt.responses
    ]
    return {name: value for name, value in named.items() if value} | {"responses": responses}
