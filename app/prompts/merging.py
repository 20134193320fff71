"""Rows of one prompt as one prompt: what each row adds to what is there. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.errors import Conflict, FieldError, InvalidInput
from app.formats.tool_calls import is_same
from app.prompts.embeddings import PromptVectors, Vector
from app.prompts.fields import is_too_large
from app.prompts.incoming import IncomingPrompt, KeptResponses, Key, fingerprint
from app.prompts.matching import (
    EmbeddingSpace,
    StoredPrompt,
    StoredResponse,
    check_response_ids,
    check_space,
    differs,
)
from app.prompts.schemas import Content, NewResponse
from app.settings import MAX_METADATA_BYTES, MAX_RESPONSES


def merge_key(prompt: IncomingPrompt) -> Key:
    """What rows of one prompt have in common: the id, or else the content and the tools."""
    if prompt.external_id is not None:
        return prompt.key
    return ("", fingerprint(prompt.content, prompt.tools, ()))


@dataclass(slots=True)
class Added:
    """A response that a row adds, and its vector if it came with one."""

    response: NewResponse
    vector: Vector | None


@dataclass(slots=True)
class Draft:
    """A prompt with all that the rows so far have said of it, before it is written.

    ``responses`` are those that are stored, then those to add, whose ids are 0 until they are
    stored too.
    """

    first: IncomingPrompt
    """The first row, which a new prompt is identified by later."""
    stored: StoredPrompt | None
    content: Content
    tools: list[dict[str, Any]] | None
    metadata: dict[str, Any] | None
    responses: list[StoredResponse]
    added: list[Added] = field(default_factory=list)
    updated: set[int] = field(default_factory=set)
    """The places of stored responses with another score or metadata than before."""
    referenced: set[int] = field(default_factory=set)
    """The places of stored responses that are the reference now."""

    @property
    def has_new_metadata(self) -> bool:
        """Whether the prompt's metadata differ from what is stored."""
        return self.stored is not None and self.metadata != self.stored.metadata

    @property
    def is_changed(self) -> bool:
        """Whether the rows say anything that is not stored."""
        return bool(
            self.stored is None
            or self.added
            or self.updated
            or self.referenced
            or self.has_new_metadata
        )

    def as_new(self) -> IncomingPrompt:
        """The prompt with all its responses, to be stored under the identity of its first row."""
        vectors = self.first.vectors
        if vectors is not None:
            vectors = PromptVectors(vectors.prompt, np.stack(self.new_vectors()))
        return replace(
            self.first,
            metadata=self.metadata,
            kept=KeptResponses(self.new_responses(), [], {}),
            vectors=vectors,
        )

    def new_responses(self) -> list[NewResponse]:
        """The responses to add, as the last row that names each of them has it."""
        known = self.responses[len(self.responses) - len(self.added) :]
        return [_as_known(each.response, now) for each, now in zip(self.added, known, strict=True)]

    def new_vectors(self) -> list[Vector]:
        """The vectors of the responses to add; none where the service embeds them."""
        return [each.vector for each in self.added if each.vector is not None]


def _as_known(sent: NewResponse, now: StoredResponse) -> NewResponse:
    known = {"score": now.score, "metadata": now.metadata, "reference": now.reference}
    before = {"score": sent.score, "metadata": sent.metadata, "reference": sent.reference}
    return sent if known == before else sent.model_copy(update=known)


def begin(first: IncomingPrompt, stored: StoredPrompt | None) -> Draft:
    """A prompt to which rows may be added: as it is stored, or without any response yet."""
    if stored is None:
        return Draft(first, None, first.content, first.tools, None, [])
    responses = [replace(each) for each in stored.responses]
    return Draft(first, stored, stored.content, stored.tools, stored.metadata, responses)


def add_row(draft: Draft, row: IncomingPrompt, space: EmbeddingSpace) -> list[StoredResponse]:
    """Add a row to its prompt; gives its responses, in its order. A refused row changes nothing.

    A response that says what another says already is the same one, whatever its id, and stays in
    its round. Its score and metadata are brought up to date. The prompt's own metadata keep the
    keys of all rows.

    Raises:
        PromptDiffers: its id is stored with another prompt or other tools, or a response's with
            another text.
        EmbeddingsDiffer: the embeddings do not fit the project's.
        Conflict: the prompt would have too many responses, or a second reference of a round.
        InvalidInput: the prompt's metadata would be too large.
    """
    if not is_same(row.content, draft.content):
        raise differs("the prompt with this id is stored with another text", "prompt")
    if not is_same(row.tools, draft.tools):
        raise differs("the prompt with this id is stored with other tools", "tools")
    said = {each.said: place for place, each in enumerate(draft.responses)}
    places = [said.get(each.said) for each in row.responses]
    matched = [None if place is None else draft.responses[place] for place in places]
    check_response_ids(row.responses, matched, draft.responses)
    if None in places or row.dimensions is not None:
        check_space(space, row.dimensions)
    _check_room(draft, places.count(None))
    _check_reference(draft, row.responses, matched)
    metadata = _merged_metadata(draft.metadata, row.metadata)
    draft.metadata = metadata
    return [
        _add(draft, row, index) if place is None else _update(draft, place, sent)
        for index, (place, sent) in enumerate(zip(places, row.responses, strict=True))
    ]


def _check_room(draft: Draft, fresh: int) -> None:
    if len(draft.responses) + fresh > MAX_RESPONSES:
        raise _conflict(
            f"the prompt would have more than {MAX_RESPONSES} responses: rows of one prompt are"
            " merged"
        )


def _check_reference(
    draft: Draft, sent: Sequence[NewResponse], matched: Sequence[StoredResponse | None]
) -> None:
    references = {each.round: each for each in draft.responses if each.reference}
    for response, same in zip(sent, matched, strict=True):
        its_round = response.round if same is None else same.round
        if response.reference and references.get(its_round, same) is not same:
            raise _conflict("the prompt has another reference response of that round already")


def _conflict(detail: str) -> Conflict:
    return Conflict(detail, errors=(FieldError(("responses",), detail),))


def _merged_metadata(
    before: dict[str, Any] | None, sent: dict[str, Any] | None
) -> dict[str, Any] | None:
    if sent is None or sent == before:
        return before
    merged = {**(before or {}), **sent}
    if is_too_large(merged):
        detail = f"with those of the prompt's other rows over {MAX_METADATA_BYTES} bytes as JSON"
        raise InvalidInput(f"metadata: {detail}", errors=(FieldError(("metadata",), detail),))
    return merged


def _add(draft: Draft, row: IncomingPrompt, index: int) -> StoredResponse:
    sent = row.responses[index]
    vector = None if row.vectors is None else row.vectors.responses[index]
    draft.added.append(Added(sent, vector))
    added = StoredResponse(
        id=0,
        external_id=sent.id,
        text=sent.text,
        tool_calls=sent.tool_calls,
        score=sent.score,
        metadata=sent.metadata,
        reference=sent.reference,
        round=sent.round,
    )
    draft.responses.append(added)
    return added


def _update(draft: Draft, place: int, sent: NewResponse) -> StoredResponse:
    known = draft.responses[place]
    is_stored = place < len(draft.responses) - len(draft.added)
    if sent.score not in (None, known.score) or sent.metadata not in (None, known.metadata):
        known.score = known.score if sent.score is None else sent.score
        known.metadata = known.metadata if sent.metadata is None else sent.metadata
        if is_stored:
            draft.updated.add(place)
    if sent.reference and not known.reference:
        known.reference = True
        if is_stored:
            draft.referenced.add(place)
    return known
