"""Which labels are looked for."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator

from app.annotation.schemas import Choice, LabelStatus
from app.storage.arm import Arm

_MAX_NAME_CHARACTERS = 256
_MAX_SEARCH_CHARACTERS = 500


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _not_blank(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("has nothing to search for")
    return text


@dataclass(frozen=True, slots=True)
class LabelFilters:
    """Labels that meet all that is set."""

    annotator: Annotated[
        str | None, Query(max_length=_MAX_NAME_CHARACTERS, description="Labels of this annotator")
    ] = None
    prompt_id: Annotated[
        str | None, Query(max_length=_MAX_NAME_CHARACTERS, description="Labels of this prompt")
    ] = None
    choice: Annotated[Choice | None, Query(description="What was pressed")] = None
    status: Annotated[LabelStatus | None, Query(description="Whether they count")] = None
    arm: Annotated[Arm | None, Query(description="Why the pair was in the plan; admins only")] = (
        None
    )
    reason: Annotated[
        bool | None, Query(description="Whether the annotator gave a reason (`rationale`)")
    ] = None
    edited: Annotated[bool | None, Query(description="Whether the annotator edited a response")] = (
        None
    )
    disagreement: Annotated[
        bool | None,
        Query(
            description="Whether another label of the pair says otherwise; withdrawn ones and skips"
            " say nothing. Admins only"
        ),
    ] = None
    since: Annotated[
        datetime | None,
        AfterValidator(_in_utc),
        Query(description="Given at this time or later; UTC, unless it names another zone"),
    ] = None
    q: Annotated[
        str | None,
        AfterValidator(_not_blank),
        Query(
            max_length=_MAX_SEARCH_CHARACTERS,
            description="Words as they stand in the prompt, a response, the reason or the edit;"
            " upper and lower case are the same. One request searches 10,000 labels",
        ),
    ] = None
