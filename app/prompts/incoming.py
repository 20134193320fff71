"""A prompt on its way in: what is kept of what was sent, and by what it is known again."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.prompts.repeats import Reason, keep_distinct
from app.prompts.schemas import Content, Message, NewPrompt, NewResponse
from app.prompts.unit_vectors import PromptVectors, SentVectors, embeddings, unit_vectors

Key = tuple[str, bytes]
"""What a prompt is known by in its project: its own id, or its texts. Sortable."""


@dataclass(frozen=True, slots=True)
class DroppedResponse:
    """A response that is left out."""

    external_id: str | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class KeptResponses:
    """What is kept of the responses that were sent, and what is not."""

    responses: Sequence[NewResponse]
    dropped: Sequence[DroppedResponse]
    kept_as: Mapping[int, int]
    """From a response's place as sent to its place, or its twin's, among those kept."""


@dataclass(frozen=True, slots=True)
class IncomingPrompt:
    """A prompt as it will be stored."""

    external_id: str | None
    content: Content
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
    def dimensions(self) -> int | None:
        """The length of the caller's embeddings; None where there are none."""
        return None if self.vectors is None else len(self.vectors.prompt)


def keep_responses(sent: Sequence[NewResponse]) -> KeptResponses:
    """Leave out what is empty or said before."""
    distinct = keep_distinct([each.text for each in sent])
    if not distinct.dropped:
        return KeptResponses(sent, (), distinct.same_as)
    place_of = {place: number for number, place in enumerate(distinct.kept)}
    return KeptResponses(
        responses=[sent[place] for place in distinct.kept],
        dropped=[
            DroppedResponse(sent[place].id, reason) for place, reason in distinct.dropped.items()
        ],
        kept_as={place: place_of[first] for place, first in distinct.same_as.items()},
    )


def incoming_prompts(sent: Sequence[NewPrompt]) -> list[IncomingPrompt]:
    """What is kept of prompts. All their vectors are normalised in one pass."""
    kept = [keep_responses(each.responses) for each in sent]
    vectors = unit_vectors(
        [
            SentVectors(each.embedding, embeddings(its.responses))
            for each, its in zip(sent, kept, strict=True)
        ]
    )
    return list(map(_incoming, sent, kept, vectors))


def fingerprint(content: Content, texts: Sequence[str]) -> bytes:
    """SHA-256 of a prompt and the texts of its responses, in their order."""
    return hashlib.sha256(orjson.dumps([content, texts], option=orjson.OPT_SORT_KEYS)).digest()


def key(external_id: str | None, fingerprint: bytes) -> Key:
    """What a prompt is known by: its texts where it has no id of its own."""
    return ("", fingerprint) if external_id is None else ("id", external_id.encode())


def _incoming(
    sent: NewPrompt, kept: KeptResponses, vectors: PromptVectors | None
) -> IncomingPrompt:
    content = _stored_content(sent.prompt)
    known_by = fingerprint(content, [each.text for each in kept.responses])
    return IncomingPrompt(
        external_id=sent.id,
        content=content,
        metadata=sent.metadata,
        kept=kept,
        fingerprint=known_by,
        key=key(sent.id, known_by),
        vectors=vectors,
    )


def _stored_content(sent: str | list[Message]) -> Content:
    if isinstance(sent, str):
        return sent
    return [{"role": message.role, "content": message.content} for message in sent]
