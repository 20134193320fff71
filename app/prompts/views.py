"""What the prompts' calls answer."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from app.prompts.repeats import Reason
from app.prompts.schemas import Content

Status = Literal["pending", "ready"]

_NAMED: dict[str, Any] = {"id": "prm_000000000002a", "external_id": "my-prompt-17"}
_RESPONSE: dict[str, Any] = {"id": "rsp_000000000004c", "external_id": "sft-a"}
_STORED: dict[str, Any] = {
    **_NAMED,
    "prompt": "Explain DPO.",
    "status": "ready",
    "group": "grp_74",
    "created_at": "2026-01-01T00:00:00Z",
}
_DROPPED: dict[str, Any] = {"external_id": "sft-c", "reason": "duplicate"}


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class Named(BaseModel):
    """Something stored: our id, and the caller's own where there is one."""

    id: str
    external_id: str | None


class DroppedView(BaseModel):
    """A response that was left out."""

    external_id: str | None
    reason: Reason


class TakenPrompt(Named):
    """A prompt as it is stored now; ``responses`` are those sent, without the dropped ones."""

    status: Status
    created: bool
    responses: list[Named]
    dropped: list[DroppedView]


class TakenPrompts(BaseModel):
    """What became of a request's prompts, in their order."""

    model_config = _example(
        {
            "prompts": [
                {
                    **_NAMED,
                    "status": "pending",
                    "created": True,
                    "responses": [_RESPONSE],
                    "dropped": [_DROPPED],
                }
            ],
            "created": 1,
            "unchanged": 0,
        }
    )

    prompts: list[TakenPrompt]
    created: int
    unchanged: int


class TakenResponses(Named):
    """What became of a request's responses: how many are new, how many were there already."""

    model_config = _example(
        {
            **_NAMED,
            "status": "pending",
            "created": 1,
            "unchanged": 0,
            "responses": [_RESPONSE],
            "dropped": [_DROPPED],
        }
    )

    status: Status
    created: int
    unchanged: int
    responses: list[Named]
    dropped: list[DroppedView]


class PromptSummary(Named):
    """A prompt in a list."""

    prompt: Content
    status: Status
    group: str | None
    responses: int
    created_at: datetime


class PromptList(BaseModel):
    """A page of prompts, newest last."""

    model_config = _example({"prompts": [{**_STORED, "responses": 4}], "next_cursor": None})

    prompts: list[PromptSummary]
    next_cursor: str | None


class ResponseView(Named):
    """A response as it was sent."""

    text: str
    model: str | None
    score: float | None
    reference: bool
    metadata: dict[str, Any] | None


class PromptView(Named):
    """A prompt as it was sent, and its responses; ``group`` is null until it is fixed."""

    model_config = _example(
        {
            **_STORED,
            "metadata": {"source": "wiki"},
            "responses": [
                {
                    **_RESPONSE,
                    "text": "DPO trains on preferences directly.",
                    "model": "sft-v3",
                    "score": None,
                    "reference": False,
                    "metadata": None,
                }
            ],
        }
    )

    prompt: Content
    metadata: dict[str, Any] | None
    status: Status
    group: str | None
    created_at: datetime
    responses: list[ResponseView]


class SimilarPrompt(BaseModel):
    """A prompt near another: the cosine of their embeddings, and its content."""

    id: str
    similarity: float
    prompt: Content


class SimilarPrompts(BaseModel):
    """The nearest prompts, most similar first."""

    model_config = _example(
        {"similar": [{"id": "prm_000000000003b", "similarity": 0.87, "prompt": "What is DPO?"}]}
    )

    similar: list[SimilarPrompt]
