"""What the tests of formats ask of a line."""

from typing import Any

from app.formats.registry import read_line
from app.imports.line_splitter import Line
from app.imports.lines import read_lines
from tests.prompts.sending import as_lines


def refusal(line: Any) -> str:
    """Why an import rejects a line."""
    _, (bad,) = read_lines([Line(1, as_lines([line]))])
    return bad.detail


def prompt_and_texts(line: Any) -> tuple[Any, list[Any]]:
    """The prompt of a line, and the texts of its responses."""
    read = read_line(line)
    return read.prompt["prompt"], [each["text"] for each in read.prompt["responses"]]
