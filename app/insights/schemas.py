"""The answers of the figures' endpoints."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.projects.schemas import Counts, LedgerView

_LEDGER: Any = {"unit": "labels", "limit": 5000, "spent": 120, "reserved": 3, "remaining": 4877}
_ROW: Any = {
    "name": "ana",
    "labels": 120,
    "median_seconds": 19.5,
    "left_rate": 0.52,
    "left_rate_interval": {"low": 0.43, "high": 0.61},
}


class LabelsOfDay(BaseModel):
    """How many of the labels that count now were given on a day (UTC); empty days are left out."""

    day: date
    labels: int


class Interval(BaseModel):
    """A 95% interval."""

    low: float
    high: float


class OwnFigures(BaseModel):
    """What one annotator has done; rates and medians are null without labels for them."""

    name: str
    labels: int = Field(description="Labels that count.")
    median_seconds: float | None
    left_rate: float | None = Field(
        description="Share of its left/right answers that chose the left side. "
        "Labels made elsewhere have no sides."
    )
    left_rate_interval: Interval | None = Field(
        description="The rate's 95% interval (Wilson); a habit shows where it leaves out 0.5."
    )


class AnnotatorFigures(OwnFigures):
    """What one annotator has done, and how it compares."""

    agreement: float | None = Field(
        description="Share of the other annotators' answers to the same pairs that are the same."
    )
    labels_per_day: list[LabelsOfDay] = Field(
        default=[], description="Of the last 14 days, today among them."
    )


class Agreement(BaseModel):
    """How much annotators agree, over the pairs with two or more labels that count."""

    krippendorff_alpha: float | None = Field(
        description="Nominal: this response, the other, tie, both bad; null where undefined."
    )
    pairs: int


class SimilarityHistogram(BaseModel):
    """How many pairs have which similarity; bin i is from ``edges[i]`` to ``edges[i + 1]``."""

    edges: list[float]
    open: list[int] = Field(description="Pairs that the plan holds now.")
    labelled: list[int] = Field(description="Pairs with a label that counts.")


class Stats(BaseModel):
    """A project's figures."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ledger": _LEDGER,
                    "counts": {
                        "prompts": 900,
                        "pending_prompts": 0,
                        "failed_prompts": 0,
                        "open_pairs": 780,
                        "held_assignments": 3,
                        "labels": 120,
                        "surplus_labels": 0,
                    },
                    "labels_per_day": [{"day": "2026-01-01", "labels": 120}],
                    "annotators": [{**_ROW, "agreement": 0.81}],
                    "agreement": {"krippendorff_alpha": 0.58, "pairs": 12},
                    "similarity_histogram": {
                        "edges": [0.0, 0.5, 1.0],
                        "open": [500, 280],
                        "labelled": [110, 10],
                    },
                }
            ]
        }
    )

    ledger: LedgerView
    counts: Counts
    labels_per_day: list[LabelsOfDay]
    annotators: list[AnnotatorFigures]
    agreement: Agreement
    similarity_histogram: SimilarityHistogram


class OwnCounts(BaseModel):
    """What an annotator holds and has given; ``pending_prompts`` is the project's."""

    pending_prompts: int
    held_assignments: int
    labels: int
    surplus_labels: int


class OwnStats(BaseModel):
    """An annotator's own figures: nothing about others, and nothing that could bias a judgement."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ledger": _LEDGER,
                    "counts": {
                        "pending_prompts": 0,
                        "held_assignments": 1,
                        "labels": 120,
                        "surplus_labels": 0,
                    },
                    "labels_per_day": [{"day": "2026-01-01", "labels": 120}],
                    "annotators": [_ROW],
                }
            ]
        }
    )

    ledger: LedgerView
    counts: OwnCounts
    labels_per_day: list[LabelsOfDay]
    annotators: list[OwnFigures]


class SpendPoint(BaseModel):
    """What was spent in an hour or a day (UTC) that begins then, less refunds."""

    at: datetime
    spent: float


class SpendDay(BaseModel):
    """What is expected to be left at the end of a day, with its 95% interval."""

    day: date
    remaining: float
    low: float
    high: float


class SpendForecastView(BaseModel):
    """How the budget is expected to run out. Days more than a year ahead are null."""

    per_working_day: float = Field(description="The mean of the days on which anything was spent.")
    days: list[SpendDay]
    spent_on: date | None
    earliest: date | None = Field(description="The 95% interval of `spent_on`: from here,")
    latest: date | None = Field(description="to here.")


class Spend(BaseModel):
    """Spend over time, in the budget's unit."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "unit": "labels",
                    "limit": 2000,
                    "by": "day",
                    "before": 0,
                    "points": [{"at": "2026-01-01T00:00:00Z", "spent": 120}],
                    "forecast": None,
                    "note": "No forecast yet: it takes three days on which labels were given.",
                }
            ]
        }
    )

    unit: Literal["labels", "minutes", "money"]
    limit: float | int | None
    by: Literal["hour", "day"]
    before: float = Field(description="Spent earlier than `points` reach.")
    points: list[SpendPoint] = Field(
        description="By day the last 366 days, by hour the last 14; empty ones are left out."
    )
    forecast: SpendForecastView | None
    note: str = Field(description="Why there is no forecast; empty where there is one.")


class CurvePoint(BaseModel):
    """How well the first ``labels`` labels teach to answer the exploration labels."""

    labels: int = Field(description="Of the strategy or made elsewhere, the earliest first.")
    accuracy: float = Field(
        description="Share of the exploration pairs that the model orders as annotators do."
    )
    low: float = Field(description="The accuracy's 95% interval: from here,")
    high: float = Field(description="to here.")
    log_loss: float | None = Field(
        default=None,
        description="How unlikely the model finds the exploration labels, in nats a label; a model "
        "that knows nothing has 0.693. Null in a forecast.",
    )


class GrowthLaw(BaseModel):
    """The likeliest law: accuracy(n) = a - b / n^c."""

    a: float
    b: float
    c: float


class LabelEfficiency(BaseModel):
    """What a project's labels have taught so far, and whether it is worth going on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "points": [
                        {
                            "labels": 50,
                            "accuracy": 0.581,
                            "low": 0.532,
                            "high": 0.629,
                            "log_loss": 0.681,
                        },
                        {
                            "labels": 100,
                            "accuracy": 0.612,
                            "low": 0.565,
                            "high": 0.66,
                            "log_loss": 0.668,
                        },
                    ],
                    "advice": "Too early to say: with 100 labels the model orders 0.612 of the "
                    "exploration pairs as annotators do (0.565 to 0.660). A forecast takes more "
                    "than 100 labels.",
                    "test_labels": 412,
                }
            ]
        }
    )

    points: list[CurvePoint] = Field(
        description="At 50, 100, 200, 400 … and all labels; empty with fewer than 200 exploration "
        "labels."
    )
    fit: GrowthLaw | None = Field(
        default=None, description="The likeliest of the fitted laws; null with too few points."
    )
    forecast: list[CurvePoint] = Field(
        default=[],
        description="The accuracy expected from the last point to the end of the budget, by all "
        "fitted laws, each weighted by how likely it is.",
    )
    advice: str = Field(description="In plain words, or what is missing for any.")
    test_labels: int = Field(
        description="Exploration labels with a preference, 10,000 at most: the test of the curve."
    )


class PendingCounts(BaseModel):
    """The counts of a project that its annotators see."""

    pending_prompts: int


class Change(BaseModel):
    """The data of an event: the counts and the ledger as they are after the change."""

    counts: Counts | PendingCounts
    ledger: LedgerView


class LabelsOfAnnotator(BaseModel):
    """Whoever has labels that count, in any project; with an account or only a name in imports."""

    name: str
    labels: int


class LabelTotals(BaseModel):
    """The labels that count over all projects, by annotator, in the order of the names."""

    annotators: list[LabelsOfAnnotator]


class PromptMap(BaseModel):
    """Prompts on a plane, near where they ask near things: a list for each field, in one order.

    ``x`` and ``y`` are the two principal directions of the vectors that prompts are grouped by, and
    ``share`` how much of their spread these hold (0 to 1; null where they do not differ).
    """

    ids: list[str]
    x: list[float]
    y: list[float]
    asked: list[str] = Field(description="The beginning of what the prompt asks.")
    labels: list[int] = Field(description="How many labels of the prompt count.")
    disputed: list[bool] = Field(description="Whether two of its labels contradict each other.")
    exploration: list[bool]
    similarity: list[float | None] = Field(
        description="The mean cosine similarity of its pairs in the plan; null without any."
    )
    share: float | None
    prompts: int = Field(
        description="How many prompts the project has. The map shows those that have a vector, and"
        " an even part of them where they are more than 20,000."
    )
