"""A prompt on its way in: what is kept of what was sent, and by what it is known again."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from app.embedding.unit import mean_direction
from app.prompts.embedding_field import Vector
from app.prompts.repeats import Reason, keep_distinct
from app.prompts.schemas import Content, Message, NewPrompt, NewResponse

Key = tuple[str, bytes]
"""What a prompt is known by in its project: its own id, or its texts. Sortable."""


@dataclass(frozen=True, slots=True)
class IncomingResponse:
    """A response that is kept."""

    external_id: str | None
    text: str
    model: str | None
    score: float | None
    reference: bool
    metadata: dict[str, Any] | None
    vector: Vector | None
    """Of unit length, ``(dimensions,)``."""


@dataclass(frozen=True, slots=True)
class DroppedResponse:
    """A response that is left out."""

    external_id: str | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class KeptResponses:
    """What is kept of the responses that were sent, and what is not."""

    responses: tuple[IncomingResponse, ...]
    dropped: tuple[DroppedResponse, ...]
    kept_as: Mapping[int, int]
    """From a response's place as sent to its place, or its twin's, among those kept."""


@dataclass(frozen=True, slots=True)
class IncomingPrompt:
    """A prompt as it will be stored."""

    external_id: str | None
    content: Content
    metadata: dict[str, Any] | None
    vector: Vector | None
    kept: KeptResponses
    fingerprint: bytes

    @property
    def responses(self) -> tuple[IncomingResponse, ...]:
        """The responses that are kept, in the order they were sent."""
        return self.kept.responses

    @property
    def key(self) -> Key:
        """What the prompt is known by in its project."""
        if self.external_id is None:
            return "", self.fingerprint
        return "id", self.external_id.encode()

    @property
    def dimensions(self) -> int | None:
        """The length of the caller's embeddings; None where there are none."""
        return dimensions(self.responses)


def keep_responses(sent: Sequence[NewResponse]) -> KeptResponses:
    """Leave out what is empty or said before."""
    distinct = keep_distinct([each.text for each in sent])
    place_of = {place: number for number, place in enumerate(distinct.kept)}
    return KeptResponses(
        responses=tuple(_incoming(sent[place]) for place in distinct.kept),
        dropped=tuple(
            DroppedResponse(sent[place].id, reason) for place, reason in distinct.dropped.items()
        ),
        kept_as={place: place_of[first] for place, first in distinct.same_as.items()},
    )


def incoming_prompt(sent: NewPrompt) -> IncomingPrompt:
    """What is kept of a prompt. Without a vector of its own it has its responses' mean."""
    kept = keep_responses(sent.responses)
    vector = sent.embedding
    vectors = [each.vector for each in kept.responses if each.vector is not None]
    if vector is None and vectors:
        vector = mean_direction(np.stack(vectors))
    content = _stored_content(sent.prompt)
    return IncomingPrompt(
        external_id=sent.id,
        content=content,
        metadata=sent.metadata,
        vector=vector,
        kept=kept,
        fingerprint=fingerprint(content, [each.text for each in kept.responses]),
    )


def dimensions(responses: Sequence[IncomingResponse]) -> int | None:
    """The length of the responses' own embeddings; None where they have none."""
    vector = responses[0].vector if responses else None
    return None if vector is None else len(vector)


def fingerprint(content: Content, texts: Sequence[str]) -> bytes:
    """SHA-256 of a prompt and the texts of its responses, in their order."""
    return hashlib.sha256(orjson.dumps([content, texts], option=orjson.OPT_SORT_KEYS)).digest()


def _stored_content(sent: str | list[Message]) -> Content:
    if isinstance(sent, str):
        return sent
    return [{"role": message.role, "content": message.content} for message in sent]


def _incoming(sent: NewResponse) -> IncomingResponse:
    return IncomingResponse(
        external_id=sent.id,
        text=sent.text,
        model=sent.model,
        score=sent.score,
        reference=sent.reference,
        metadata=sent.metadata,
        vector=sent.embedding,
    )
