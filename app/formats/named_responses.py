"""Records whose columns are a prompt and responses that go by names. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidInput
from app.formats.place import Place

_PROMPTS = ("prompt", "instruction", "question", "input")


@dataclass(frozen=True, slots=True)
class NamedResponses:
    """A prompt as the body of ``POST /prompts``, its responses' places, and names for errors."""

    prompt: dict[str, Any]
    places: Mapping[str, int]
    names: Mapping[Place, str]


def read_named(
    columns: Any, where: str, responses: Mapping[str, Any] | None = None
) -> NamedResponses:
    """Read columns, which are the part ``where`` of a line.

    The responses are those given, or else every column beside the prompt that holds a text.

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
    names: dict[Place, str] = {("prompt",): f"{where}.{asked}", ("responses",): where}
    for place, name in enumerate(responses):
        names[("responses", place)] = names[("responses", place, "text")] = f"{where}.{name}"
    return NamedResponses(
        prompt={
            "prompt": columns[asked],
            "responses": [{"id": name, "text": text} for name, text in responses.items()],
        },
        places={name: place for place, name in enumerate(responses)},
        names=names,
    )


def prompt_column(columns: Mapping[str, Any]) -> str | None:
    """The name of the column that holds the prompt; None where there is none."""
    return next((name for name in _PROMPTS if name in columns), None)
