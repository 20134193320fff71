"""What requests and answers of the accounts' calls hold."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["admin", "annotator"]
AnnotatorName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^\s/\x00-\x1f\x7f](?:[^/\x00-\x1f\x7f]*[^\s/\x00-\x1f\x7f])?$",
    ),
]
ProjectNames = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)]


class NewAnnotator(BaseModel):
    """Somebody to give a key to. ``projects`` null: all projects."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "ana", "role": "annotator", "projects": None}]},
    )

    name: AnnotatorName
    role: Role = "annotator"
    projects: ProjectNames | None = None


class AnnotatorChange(BaseModel):
    """What to change of an annotator. Fields left out stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"active": False}]})

    name: AnnotatorName | None = None
    role: Role | None = None
    projects: ProjectNames | None = None
    active: bool | None = None


class AnnotatorView(BaseModel):
    """An annotator."""

    id: str
    name: str
    role: Role
    projects: list[str] | None
    active: bool
    created_at: datetime


class NameOfLabels(BaseModel):
    """Somebody without an account, whose name stands in labels that were made elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ana", "labels": 120}]})

    name: str
    labels: int


class AnnotatorWithKey(BaseModel):
    """A new annotator, and its key, shown this once."""

    id: str
    name: str
    role: Role
    projects: list[str] | None
    key: str


class AnnotatorList(BaseModel):
    """A page of annotators."""

    annotators: list[AnnotatorView]
    next_cursor: str | None = None


class NewKey(BaseModel):
    """A fresh key, shown this once."""

    key: str


class SignIn(BaseModel):
    """A key to begin a session with. ``keep``: it outlives the browser's window, for 30 days."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"key": "ab_…", "keep": True}]}
    )

    key: Annotated[str, Field(min_length=1, max_length=1000)]
    keep: bool = True


class SessionView(BaseModel):
    """Whose session it is, and the token that its requests repeat in ``X-CSRF-Token``."""

    name: str
    role: Role
    csrf_token: str


class NoSession(BaseModel):
    """Nobody is signed in."""

    name: None = None
    role: None = None
    csrf_token: None = None
