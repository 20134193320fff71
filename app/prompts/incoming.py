"""A prompt as it will be stored: what is kept of what was sent, and the key that identifies it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.formats.tool_calls import Exact, canonical
from app.prompts.embeddings import PromptVectors, SentVectors, Vector, unit_vectors
from app.prompts.fields import Message
from app.prompts.schemas import Content, DroppedView, NewPrompt, NewResponse
from app.prompts.text import is_plain, keep_distinct

Key = tuple[str, bytes]
"""What identifies a prompt in its project: its own id, or its texts. Sortable."""


@dataclass(frozen=True, slots=True)
class KeptResponses:
    """Which of the responses that were sent are kept, and which are dropped."""

    responses: Sequence[NewResponse]
    dropped: list[DroppedView]
    kept_as: Mapping[int, int]
    """From a response's index as sent to its index, or its duplicate's, among those kept."""


@dataclass(frozen=True, slots=True)
class IncomingPrompt:
    """A prompt as it will be stored."""

    external_id: str | None
    content: Content
    tools: list[dict[str, Any]] | None
    metadata: dict[str, Any] | None
    kept: KeptResponses
    fingerprint: bytes
    key: Key
    vectors: PromptVectors | None

    @property
    def responses(self) -> Sequence[NewResponse]:
        """The responses that are kept, in the order they were sent."""
        return self.kept.responses

    @property
    def with_tools(self) -> bool:
        """Whether it has tools, a turn more than role and content, or a response tool calls."""
        return bool(
            self.tools
            or not is_plain(self.content)
            or any(each.tool_calls for each in self.responses)
        )

    @property
    def dimensions(self) -> int | None:
        """The length of the caller's embeddings; None where there are none."""
        return None if self.vectors is None else len(self.vectors.prompt)


def keep_responses(sent: Sequence[NewResponse]) -> KeptResponses:
    """Drop the responses that are empty or repeat an earlier one."""
    distinct = keep_distinct([each.said for each in sent])
    if not distinct.dropped:
        return KeptResponses(sent, [], distinct.same_as)
    kept_index = {index: number for number, index in enumerate(distinct.kept)}
    return KeptResponses(
        responses=[sent[index] for index in distinct.kept],
        dropped=[
            DroppedView(external_id=sent[index].id, reason=reason)
            for index, reason in distinct.dropped.items()
        ],
        kept_as={index: kept_index[first] for index, first in distinct.same_as.items()},
    )


def embeddings(responses: Sequence[NewResponse]) -> list[Vector]:
    """The vectors of the responses that have one."""
    return [each.embedding for each in responses if each.embedding is not None]


def incoming_prompts(sent: Sequence[NewPrompt]) -> list[IncomingPrompt]:
    """Prompts as they will be stored. All their vectors are normalised in one pass."""
    kept = [keep_responses(each.responses) for each in sent]
    vectors = unit_vectors(
        [
            SentVectors(each.embedding, embeddings(its.responses))
            for each, its in zip(sent, kept, strict=True)
        ]
    )
    return list(map(_incoming, sent, kept, vectors))


def fingerprint(
    content: Content, tools: Sequence[dict[str, Any]] | None, responses: Sequence[Exact]
) -> bytes:
    """SHA-256 of a prompt, its tools, and what identifies its responses, in their order.

    Neither the order of keys nor the writing of numbers counts.
    """
    identity: list[Any] = [canonical(content), responses]
    if tools:
        identity.append(canonical(tools))
    return hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).digest()


def key(external_id: str | None, fingerprint: bytes) -> Key:
    """What identifies a prompt: its own id, or else its texts."""
    return ("", fingerprint) if external_id is None else ("id", external_id.encode())


def _incoming(
    sent: NewPrompt, kept: KeptResponses, vectors: PromptVectors | None
) -> IncomingPrompt:
    content = _stored_content(sent.prompt)
    its_fingerprint = fingerprint(content, sent.tools, [each.exact for each in kept.responses])
    return IncomingPrompt(
        external_id=sent.id,
        content=content,
        tools=sent.tools,
        metadata=sent.metadata,
        kept=kept,
        fingerprint=its_fingerprint,
        key=key(sent.id, its_fingerprint),
        vectors=vectors,
    )


def _stored_content(sent: str | list[Message]) -> Content:
    if isinstance(sent, str):
        return sent
    return [message.as_stored() for message in sent]
