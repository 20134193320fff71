"""What requests and answers of the projects' calls hold."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    field_validator,
    model_validator,
)

from app.settings import (
    DEFAULT_PROJECT,
    MAX_LABELS_PER_PAIR,
    MAX_LEASE_SECONDS,
    MAX_TEXT_CHARACTERS,
    MIN_LEASE_SECONDS,
)

Unit = Literal["labels", "minutes", "money"]
ProjectName = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
ProjectQuery = Annotated[
    str,
    Query(
        alias="project",
        max_length=256,
        description=f"Name of the project; left out, `{DEFAULT_PROJECT}` is meant",
    ),
]
"""A query parameter that names a project. Give it the default ``DEFAULT_PROJECT``."""
LabelsPerPair = Annotated[StrictInt, Field(ge=1, le=MAX_LABELS_PER_PAIR)]
_MAX_LIMIT = 10**12
_LEAST_AMOUNT = Decimal("0.000001")
"""Of money or minutes: the smallest amount that the ledger's columns hold."""


class Budget(BaseModel):
    """The most that may be spent. ``limit`` null: no limit."""

    model_config = ConfigDict(extra="forbid")

    unit: Unit = "labels"
    limit: Annotated[float, Field(ge=0, le=_MAX_LIMIT, strict=True)] | None = None

    @field_validator("limit", mode="before")
    @classmethod
    def _number(cls, limit: Any) -> Any:
        if isinstance(limit, bool) or not isinstance(limit, int | float | None):
            raise ValueError("must be a number or null")
        return limit


class Overlap(BaseModel):
    """A share of the pairs, drawn at random, gets this many labels."""

    model_config = ConfigDict(extra="forbid")

    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    labels: LabelsPerPair = 2


class Cost(BaseModel):
    """What a pair is expected to take: a base, and the reading time of both responses."""

    model_config = ConfigDict(extra="forbid")

    seconds_base: Annotated[float, Field(ge=0, le=3600)] = 8
    words_per_minute: Annotated[float, Field(ge=1, le=10_000)] = 238
    hourly_rate: Annotated[Decimal, Field(ge=_LEAST_AMOUNT, le=100_000)] | None = None


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    guidelines: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] = ""
    plain_text: Annotated[
        StrictBool,
        Field(description="The desk shows prompts and responses as they are, not as Markdown"),
    ] = False
    strategy: Annotated[str, Field(max_length=64)] = "auto"
    budget: Budget = Budget()
    labels_per_pair: LabelsPerPair = 1
    overlap: Overlap = Overlap()
    pairs_per_prompt: Annotated[StrictInt, Field(ge=1, le=10_000)] | None = None
    exploration: Annotated[float, Field(ge=0, le=1)] = 0.1
    lease_seconds: Annotated[StrictInt, Field(ge=MIN_LEASE_SECONDS, le=MAX_LEASE_SECONDS)] = 1800
    cost: Cost = Cost()


_EXAMPLE: Any = {
    "name": "helpful-v1",
    "guidelines": "Choose the response that helps more.",
    "budget": {"unit": "labels", "limit": 5000},
}


Preset = Literal["real", "real-two"]
PRESETS: Final[Mapping[Preset, Mapping[str, Any]]] = {
    "real": {"strategy": "dissimilar", "pairs_per_prompt": 1, "exploration": 0.0},
    "real-two": {"strategy": "dissimilar-global", "exploration": 0.0},
}
"""Settings of new projects: those of REAL (arXiv 2409.17169) for prompts of several responses, and
for prompts of two."""


class NewProject(_Settings):
    """A project to make. Fields left out have those of the preset, or else their defaults."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    name: ProjectName
    preset: Annotated[
        Preset | None,
        Field(description="Settings as the REAL paper has them; it only fills fields left out"),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        # What else was sent is refused by the field's own check, and need not be hashable.
        named = (settings for name, settings in PRESETS.items() if name == sent.get("preset"))
        return {**next(named, {}), **sent}


class ProjectChange(_Settings):
    """What to change of a project. Fields left out stay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"budget": {"unit": "labels", "limit": 6000}}]},
    )


class LedgerView(BaseModel):
    """The budget now: what is spent, what is reserved for held assignments, what is left."""

    unit: Unit
    limit: float | int | None
    spent: float | int
    reserved: float | int
    remaining: float | int | None


class Counts(BaseModel):
    """How much a project holds. ``open_pairs`` is the plan: pairs that can be handed out now.

    ``failed_prompts`` have a text that the embedding model fails on, and wait for nothing.
    ``latest_round`` is that of the newest responses.
    """

    prompts: int
    pending_prompts: int
    failed_prompts: int
    open_pairs: int
    held_assignments: int
    labels: int
    surplus_labels: int
    latest_round: int


class ProjectView(_Settings):
    """A project, its ledger and its counts."""

    name: str
    ledger: LedgerView
    counts: Counts


class OwnProject(BaseModel):
    """What an annotator may know of a project: nothing that could bias a judgement."""

    name: str
    guidelines: str
    ledger: LedgerView


class OwnProjectList(BaseModel):
    """A page of an annotator's projects."""

    projects: list[OwnProject]
    next_cursor: str | None = None


class ProjectList(BaseModel):
    """A page of projects."""

    projects: list[ProjectView]
    next_cursor: str | None = None


class StrategyView(BaseModel):
    """A strategy: what it puts first, and what it needs."""

    name: str
    description: str
    learns: bool = Field(description="It trains on the project's labels as they come in.")
    is_default: bool


class StrategyList(BaseModel):
    """All strategies, the usual ones first."""

    strategies: list[StrategyView]
