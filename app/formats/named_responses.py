"""Records whose columns are a prompt and responses that go by names. Pure."""

from collections.abc import Mapping
from typing import Any

from app.errors import InvalidInput, Location
from app.formats.columns import prompt_column
from app.formats.format import ReadLine


def read_named(
    columns: Any, where: str, responses: Mapping[str, Any] | None = None
) -> tuple[ReadLine, dict[str, int]]:
    """Read the prompt and the responses of a record; gives the index of each name too.

    Args:
        columns: the record.
        where: its place in the line, for error messages.
        responses: the texts by name; by default every column, beside the prompt, with a string.

    Raises:
        InvalidInput: there is no prompt, or there are fewer than two responses.
    """
    if not isinstance(columns, dict):
        raise InvalidInput(f"{where}: must be an object")
    asked = prompt_column(columns)
    if asked is None:
        raise InvalidInput(f"{where}: has no prompt, instruction, question or input")
    if responses is None:
        responses = {
            name: value
            for name, value in columns.items()
            if name != asked and isinstance(value, str)
        }
    if len(responses) < 2:
        raise InvalidInput(f"{where}: has fewer than two responses beside the prompt")
    names: dict[Location, str] = {("prompt",): f"{where}.{asked}", ("responses",): where}
    for index, name in enumerate(responses):
        names[("responses", index)] = names[("responses", index, "text")] = f"{where}.{name}"
    prompt = {
        "prompt": columns[asked],
        "responses": [{"id": name, "text": text} for name, text in responses.items()],
    }
    return ReadLine(prompt, names=names), {name: index for index, name in enumerate(responses)}
