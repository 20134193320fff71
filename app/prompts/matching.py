"""Stored prompts, and whether a prompt that is sent again matches the stored one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import EmbeddingsDiffer, FieldError, PromptDiffers
from app.formats.tool_calls import Exact, exact, is_same, said
from app.prompts.incoming import IncomingPrompt, Key, fingerprint, key
from app.prompts.schemas import Content, NewResponse


@dataclass(slots=True)
class StoredResponse:
    """What intake needs of a response's row."""

    id: int
    external_id: str | None
    text: str
    tool_calls: list[dict[str, Any]] | None
    score: float | None
    metadata: dict[str, Any] | None
    reference: bool = False
    round: int = 1

    @property
    def exact(self) -> Exact:
        """What identifies it: a response with the same is the same, sent again."""
        return exact(self.text, self.tool_calls)

    @property
    def said(self) -> str:
        """What it says, in text and calls."""
        return said(self.text, self.tool_calls)


@dataclass(slots=True)
class StoredPrompt:
    """What intake needs of a prompt's row, and of its responses, by position."""

    id: int
    external_id: str | None
    content: Content
    tools: list[dict[str, Any]] | None
    fingerprint: bytes
    metadata: dict[str, Any] | None
    status: str
    responses: Sequence[StoredResponse]

    @property
    def key(self) -> Key:
        """What identifies the prompt in its project."""
        return key(self.external_id, self.fingerprint)


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Where a project's embeddings come from (``service`` or ``caller``), and their length.

    The length is None until it is known.
    """

    source: str
    dimensions: int | None


def match(sent: IncomingPrompt, stored: StoredPrompt) -> list[StoredResponse]:
    """The stored responses, in the order sent, of a prompt that is sent again.

    The content and the tools must be the same, and so must the texts and calls that were first
    sent, in any order. Of the responses added since, the first few or all may be sent too.

    Raises:
        PromptDiffers: the content, the tools, the texts or the calls differ.
    """
    if not is_same(sent.content, stored.content):
        raise differs("the prompt with this id is stored with another text", "prompt")
    if not is_same(sent.tools, stored.tools):
        raise differs("the prompt with this id is stored with other tools", "tools")
    count = len(sent.responses)
    by_identity = {each.exact: each for each in stored.responses[:count]}
    matched = [by_identity.get(each.exact) for each in sent.responses]
    found = [each for each in matched if each is not None]
    if len(found) < count or not _covers_first_sent(stored, count):
        raise differs("the prompt with this id is stored with other responses", "responses")
    check_response_ids(sent.responses, found, stored.responses)
    return found


def check_response_ids(
    sent: Sequence[NewResponse],
    matched: Sequence[StoredResponse | None],
    stored: Sequence[StoredResponse],
) -> None:
    """Refuse a response's id that is stored with another text.

    Raises:
        PromptDiffers: ``sent[i]`` has the id of a stored response other than ``matched[i]``.
    """
    by_id = {each.external_id: each for each in stored if each.external_id is not None}
    for response, same_text in zip(sent, matched, strict=True):
        if response.id is not None:
            same_id = by_id.get(response.id)
            if same_id is not None and same_id is not same_text:
                raise differs("a response's id is stored with another text", "responses")


def check_space(space: EmbeddingSpace, dimensions: int | None) -> None:
    """Refuse embeddings that do not fit the project's.

    Raises:
        EmbeddingsDiffer: they come from the caller where the project's come from the service, or
            the other way round, or their lengths differ.
    """
    source = "service" if dimensions is None else "caller"
    if source != space.source:
        detail = (
            "this project has the service's embeddings: leave `embedding` out"
            if space.source == "service"
            else "this project has its callers' embeddings: every response needs an `embedding`"
        )
    elif space.source == "caller" and dimensions != space.dimensions:
        detail = f"this project's embeddings have {space.dimensions} numbers, these {dimensions}"
    else:
        return
    raise EmbeddingsDiffer(detail, errors=(FieldError(("responses",), detail),))


def _covers_first_sent(stored: StoredPrompt, count: int) -> bool:
    """Whether the first ``count`` responses hold all those that were first sent."""
    if count == len(stored.responses):
        return True
    responses = [each.exact for each in stored.responses[:count]]
    return any(
        fingerprint(stored.content, stored.tools, responses[:first]) == stored.fingerprint
        for first in range(count, 0, -1)
    )


def differs(detail: str, field: str) -> PromptDiffers:
    """The error of a prompt that contradicts what is stored, at one of its fields."""
    return PromptDiffers(detail, errors=(FieldError((field,), detail),))
