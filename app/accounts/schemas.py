"""What requests and answers of the accounts' calls hold."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
    """Somebody to give a key to. ``projects`` null: all projects.

    ``invite``: make an invitation instead, which they exchange for their key.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "ana", "role": "annotator", "projects": None}]},
    )

    name: AnnotatorName
    role: Role = "annotator"
    projects: ProjectNames | None = None
    invite: bool = False


class AnnotatorChange(BaseModel):
    """What to change of an annotator. Fields left out stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"active": False}]})

    name: AnnotatorName | None = None
    role: Role | None = None
    projects: ProjectNames | None = None
    active: bool | None = None


class AnnotatorView(BaseModel):
    """An annotator.

    ``seen_at``: when they last used their key or a session, give or take five minutes; null:
    never. ``invited_until``: they hold an invitation that is good until then.
    """

    id: str
    name: str
    role: Role
    projects: list[str] | None
    active: bool
    created_at: datetime
    seen_at: datetime | None
    invited_until: datetime | None


class NameOfLabels(BaseModel):
    """Somebody without an account, whose name stands in labels that were made elsewhere."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ana", "labels": 120}]})

    name: str
    labels: int


class NewInvitation(BaseModel):
    """An invitation, shown this once. It is exchanged for a key by ``POST /session``, once."""

    invitation: str
    expires_at: datetime


class AnnotatorWithKey(BaseModel):
    """A new annotator, and its key or its invitation, shown this once."""

    id: str
    name: str
    role: Role
    projects: list[str] | None
    key: str | None = None
    invitation: str | None = None
    expires_at: datetime | None = None


class AnnotatorList(BaseModel):
    """A page of annotators."""

    annotators: list[AnnotatorView]
    next_cursor: str | None = None


class NewKey(BaseModel):
    """A fresh key, shown this once."""

    key: str


class SignIn(BaseModel):
    """A key, or an invitation, to begin a session with.

    ``keep``: the session outlives the browser's window, for 30 days.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"key": "ab_…", "keep": True}]}
    )

    key: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    invitation: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    keep: bool = True

    @model_validator(mode="after")
    def _has_one_of_the_two(self) -> Self:
        if (self.key is None) == (self.invitation is None):
            raise ValueError("send either key or invitation")
        return self

    @property
    def secret(self) -> str:
        """The one that was sent, without the space around it."""
        return (self.key or self.invitation or "").strip()


class SessionView(BaseModel):
    """Whose session it is, and the token that its requests repeat in ``X-CSRF-Token``.

    ``key`` is there after an invitation: the annotator's new key, shown this once.
    """

    name: str
    role: Role
    csrf_token: str
    key: str | None = None


class NoSession(BaseModel):
    """Nobody is signed in."""

    name: None = None
    role: None = None
    csrf_token: None = None
