"""What requests and answers of the annotation calls hold."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    model_validator,
)

from app.projects.schemas import LedgerView
from app.settings import (
    MAX_LABELS_PER_REQUEST,
    MAX_LEASE_SECONDS,
    MAX_RESPONSES,
    MAX_TEXT_CHARACTERS,
    MIN_RESPONSES,
)

Choice = Literal["left", "right", "tie", "both_bad", "skip"]
LabelStatus = Literal["counted", "surplus", "skipped", "withdrawn", "automatic"]
ChatMessages = list[dict[str, Any]]
IMPORT_ANNOTATOR = "import"
"""The annotator of an imported label whose source names none."""
_MAX_ID_CHARACTERS = 256
EditedText = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)] | None


class ShownResponse(BaseModel):
    """One side of a pair. ``tool_calls`` stand only where the response has any."""

    response_id: str
    text: str
    tool_calls: list[dict[str, Any]] | None = None


class HandedPair(BaseModel):
    """A pair to annotate. Only admins are shown what could bias a judgement.

    ``tools`` stand only where the prompt has any.
    """

    assignment_id: str
    pair_id: str
    prompt_id: str
    prompt: str | ChatMessages
    tools: list[dict[str, Any]] | None = None
    left: ShownResponse
    right: ShownResponse
    similarity: float | None = None
    arm: Literal["strategy", "exploration"] | None = None
    strategy: str | None = None
    propensity: float | None = None
    expected_cost: float | int
    expires_at: datetime


class NextPairs(BaseModel):
    """The pairs an annotator holds now, and how the project stands."""

    pairs: list[HandedPair]
    ledger: LedgerView
    pending_prompts: int
    status: Literal["ok", "waiting", "exhausted", "complete"]
    retry_after: int | None


class NewLabel(BaseModel):
    """An annotator's answer to an assignment.

    ``edited`` is the preferred response, improved; ``edited_rejected`` is the other one, brought
    nearer to it (BMC trains on such pairs).
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "assignment_id": "asg_0000000000001",
                    "choice": "left",
                    "strength": 2,
                    "seconds": 21.5,
                    "rationale": "right one invents a citation",
                    "edited": None,
                    "edited_rejected": None,
                }
            ]
        },
    )

    assignment_id: Annotated[str, Field(max_length=_MAX_ID_CHARACTERS)]
    choice: Choice
    strength: Annotated[StrictInt, Field(ge=1, le=3)] | None = None
    seconds: Annotated[float, Field(ge=0, le=MAX_LEASE_SECONDS, strict=True)] | None = None
    rationale: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] | None = None
    edited: EditedText = None
    edited_rejected: EditedText = None

    @property
    def is_preference(self) -> bool:
        """Whether one response is preferred."""
        return self.choice in ("left", "right")

    @model_validator(mode="after")
    def _only_a_preference_has_strength_and_edit(self) -> Self:
        also = (self.strength, self.edited, self.edited_rejected)
        if not self.is_preference and any(each is not None for each in also):
            raise ValueError("strength, edited and edited_rejected go only with left or right")
        return self


AnyId = Annotated[str, Field(min_length=1, max_length=_MAX_ID_CHARACTERS)]
ImportedAnnotator = Annotated[str, Field(min_length=1, max_length=_MAX_ID_CHARACTERS)]
IsAutomatic = Annotated[
    StrictBool,
    Field(
        description="No person said so, but a model: exports take it with `labels=automatic`, and"
        " nothing else counts it"
    ),
]


class ImportedPreference(BaseModel):
    """A preference to import. Prompt and responses may be named by either of their ids."""

    model_config = ConfigDict(extra="forbid")

    prompt_id: AnyId
    annotator: ImportedAnnotator = IMPORT_ANNOTATOR
    preferred: AnyId
    rejected: AnyId
    strength: Annotated[StrictInt, Field(ge=1, le=3)] | None = None
    automatic: IsAutomatic = False

    @model_validator(mode="after")
    def _of_two_responses(self) -> Self:
        if self.preferred == self.rejected:
            raise ValueError("preferred and rejected are the same response")
        return self


class ImportedRanking(BaseModel):
    """A ranking to import, best first; responses that share a list are tied."""

    model_config = ConfigDict(extra="forbid")

    prompt_id: AnyId
    annotator: ImportedAnnotator = IMPORT_ANNOTATOR
    ranking: Annotated[
        list[Annotated[list[AnyId], Field(min_length=1, max_length=MAX_RESPONSES)]],
        Field(min_length=1, max_length=MAX_RESPONSES),
    ]
    automatic: IsAutomatic = False

    @model_validator(mode="after")
    def _of_different_responses(self) -> Self:
        ranked = [response for tier in self.ranking for response in tier]
        if len(ranked) != len(set(ranked)):
            raise ValueError("a response stands in the ranking twice")
        if len(ranked) < MIN_RESPONSES:
            raise ValueError("a ranking needs two responses")
        return self


NewImportedLabel = ImportedPreference | ImportedRanking


def _kind_of_label(sent: Any) -> str:
    if not isinstance(sent, dict) or "prompt_id" not in sent:
        return "answer"
    return "ranking" if "ranking" in sent else "preference"


AnyLabel = Annotated[
    Annotated[NewLabel, Tag("answer")]
    | Annotated[ImportedPreference, Tag("preference")]
    | Annotated[ImportedRanking, Tag("ranking")],
    Discriminator(_kind_of_label),
]


class NewLabels(BaseModel):
    """Several labels at once, all of one project and of one kind; all or nothing."""

    model_config = ConfigDict(extra="forbid")

    labels: Annotated[list[AnyLabel], Field(min_length=1, max_length=MAX_LABELS_PER_REQUEST)]


def _one_or_many(sent: Any) -> str:
    return "many" if isinstance(sent, dict) and "labels" in sent else _kind_of_label(sent)


LabelsBody = Annotated[
    Annotated[NewLabel, Tag("answer")]
    | Annotated[ImportedPreference, Tag("preference")]
    | Annotated[ImportedRanking, Tag("ranking")]
    | Annotated[NewLabels, Tag("many")],
    Discriminator(_one_or_many),
]


class StoredLabel(BaseModel):
    """A label as it was recorded, and whether it counts."""

    id: str
    pair_id: str
    prompt_id: str
    choice: Choice
    preferred_response_id: str | None
    rejected_response_id: str | None
    status: LabelStatus


class StoredLabels(BaseModel):
    """The labels recorded, in the order sent, and the ledger after them."""

    labels: list[StoredLabel]
    ledger: LedgerView


class LabelView(StoredLabel):
    """A label with all that its annotator said, and on which side each response was shown.

    A label made elsewhere has no sides. Only admins are shown what could bias a judgement.
    """

    annotator: str
    strength: int | None
    seconds: float | None
    rationale: str | None
    edited: str | None
    edited_rejected: str | None
    left_response_id: str | None
    right_response_id: str | None
    created_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    similarity: float | None = None
    arm: Literal["strategy", "exploration", "imported", "automatic"] | None = None


class PairResponse(ShownResponse):
    """One response of a pair. Only admins are shown where it comes from."""

    external_id: str | None = None
    model: str | None = None
    score: float | None = None
    round: int | None = None


class PairTexts(BaseModel):
    """What a pair is about: the prompt, and the two responses in the order of their ids."""

    prompt: str | ChatMessages
    tools: list[dict[str, Any]] | None = None
    responses: list[PairResponse]


class LabelWithTexts(LabelView):
    """A label; where they were asked for, with the texts that it is about."""

    texts: PairTexts | None = None


class LabelList(BaseModel):
    """A page of labels."""

    labels: list[LabelWithTexts]
    next_cursor: str | None = None


class LabelCounts(BaseModel):
    """How many labels meet the filters, and how many of those are worth a look.

    No count goes beyond ``limit``: a count of that number means as many or more.
    """

    labels: int
    disagreements: int | None
    reasons: int
    edited: int
    limit: int


class PairView(PairTexts):
    """A pair and all that was said of it, the oldest label first; withdrawn ones too.

    Annotators see their own labels alone.
    """

    id: str
    prompt_id: str
    prompt_external_id: str | None = None
    similarity: float | None = None
    arm: Literal["strategy", "exploration", "imported", "automatic"] | None = None
    strategy: str | None = None
    labels: list[LabelView]


class PairList(BaseModel):
    """A page of pairs with labels."""

    pairs: list[PairView]
    next_cursor: str | None = None


class Correction(BaseModel):
    """An admin's own answer to a pair, and the labels of it to withdraw first."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "withdraw": ["lbl_0000000000002"],
                    "preferred_response_id": "rsp_0000000000001",
                    "strength": 2,
                    "rationale": "the other invents a citation",
                }
            ]
        },
    )

    withdraw: Annotated[list[AnyId], Field(max_length=MAX_LABELS_PER_REQUEST)] = []
    preferred_response_id: AnyId | None = None
    choice: Literal["tie", "both_bad"] | None = None
    strength: Annotated[StrictInt, Field(ge=1, le=3)] | None = None
    seconds: Annotated[float, Field(ge=0, le=MAX_LEASE_SECONDS, strict=True)] | None = None
    rationale: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] | None = None
    edited: EditedText = None
    edited_rejected: EditedText = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.preferred_response_id is None) == (self.choice is None):
            raise ValueError("send either preferred_response_id or choice")
        also = (self.strength, self.edited, self.edited_rejected)
        if self.choice is not None and any(each is not None for each in also):
            raise ValueError(
                "strength, edited and edited_rejected go only with preferred_response_id"
            )
        return self


class CorrectedPair(BaseModel):
    """The admin's label, the pair as it stands now, and the ledger."""

    label: StoredLabel
    pair: PairView
    ledger: LedgerView
