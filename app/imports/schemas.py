"""What an import answers."""

from pydantic import BaseModel, ConfigDict


class RejectedLine(BaseModel):
    """A line of an import, counted from 1, and what is wrong with it."""

    line: int
    detail: str


class ImportReport(BaseModel):
    """What an import stored and rejected; ``rejected`` holds the first 1000 lines."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "created": 499,
                "unchanged": 0,
                "labels": 0,
                "rejected": [{"line": 12, "detail": "responses.0.text: Field required"}],
                "rejected_count": 1,
            }
        }
    )

    created: int
    unchanged: int
    labels: int
    rejected: list[RejectedLine]
    rejected_count: int
