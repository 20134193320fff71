"""Every error of the service: of a request, answered as problem+json (RFC 9457), or of a command.

AppError                      500, never raised itself
├── Unauthenticated           401
├── Forbidden                 403
│   ├── CsrfTokenMissing
│   └── ForeignRequest
├── NotFound                  404
│   ├── UnknownProject
│   ├── UnknownPrompt
│   ├── UnknownAnnotator
│   ├── UnknownAssignment
│   ├── UnknownLabel
│   └── UnknownRecipe
├── Conflict                  409
│   ├── NameTaken
│   ├── PromptDiffers
│   ├── EmbeddingsDiffer
│   ├── PromptNotFailed
│   ├── LabelDiffers
│   ├── AssignmentAnswered
│   ├── BudgetBelowSpent
│   ├── UnitInUse
│   ├── TooFewLabelsPerPair
│   ├── LastAdmin
│   ├── AdminNamed
│   ├── DefaultProject
│   └── RecipeUnfilled
├── TooLarge                  413
├── UnsupportedMedia          415
├── InvalidInput              422
├── TooManyRequests           429
└── Unavailable               503

CommandFailed                 of the command line: printed on standard error, exit status 1
├── EmbeddedPostgresError
│   ├── DataDirInUse
│   ├── DataDirUnusable
│   ├── BinariesMissing
│   └── ServerFailed
├── ProgramFailed
├── BackupUnwritable
├── BackupUnusable
└── DatabaseUnsuited
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

PROBLEM_TYPE_PREFIX = "/problems/"

Location = tuple[str | int, ...]
"""A field of a request: ``("body", "prompts", 3, "responses")``."""


def dotted(location: Location) -> str:
    """A location as a person reads it: ``body.prompts.3.responses``."""
    return ".".join(str(part) for part in location)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field at fault: where it is, and what is wrong with it (never the input itself)."""

    loc: Location
    msg: str


class AppError(Exception):
    """An error of a request; ``detail`` tells its reader what went wrong."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    slug: ClassVar[str] = "internal-error"

    def __init_subclass__(cls) -> None:
        """A class's slug is its name in kebab case, stable for clients to match."""
        super().__init_subclass__()
        cls.slug = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(
        self,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    def under(self, prefix: Location) -> Self:
        """The same error, of the part of the request at ``prefix``: its fields say so now."""
        self.errors = tuple(FieldError((*prefix, *each.loc), each.msg) for each in self.errors)
        if self.errors:
            self.detail = f"{dotted(self.errors[0].loc)}: {self.errors[0].msg}"
        return self

    def problem(self, root_path: str = "") -> dict[str, object]:
        """The body of the answer; ``root_path`` is the path prefix of the API."""
        body: dict[str, object] = {
            "type": root_path + PROBLEM_TYPE_PREFIX + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"loc": list(error.loc), "msg": error.msg} for error in self.errors]
        return body


class Unauthenticated(AppError):
    """No key, or a key that nobody has."""

    status = 401
    title = "Not authenticated"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(AppError):
    """The key's role may not do this."""

    status = 403
    title = "Forbidden"


class CsrfTokenMissing(Forbidden):
    """A session's request lacks the token that only our own pages know."""


class ForeignRequest(Forbidden):
    """Another site made the browser send a session's request."""


class NotFound(AppError):
    """Nothing of that name, or not yours."""

    status = 404
    title = "Not found"


class UnknownProject(NotFound):
    """No project has that name, or it is not one of yours."""


class UnknownPrompt(NotFound):
    """No prompt has that id."""


class UnknownAnnotator(NotFound):
    """No annotator has that name."""


class UnknownAssignment(NotFound):
    """No assignment of yours has that id."""


class UnknownLabel(NotFound):
    """No label of yours has that id."""


class UnknownPair(NotFound):
    """No pair of yours has that id."""


class UnknownRecipe(NotFound):
    """No recipe has that name."""


class Conflict(AppError):
    """The request contradicts what is stored."""

    status = 409
    title = "Conflict"


class NameTaken(Conflict):
    """That name is in use."""


class PromptDiffers(Conflict):
    """A prompt or response with that id is stored with other texts."""


class EmbeddingsDiffer(Conflict):
    """The project's embeddings come from another source or have another length."""


class PromptNotFailed(Conflict):
    """Only a prompt that has failed can be tried again."""


class LabelDiffers(Conflict):
    """A different answer stands already; undo it first."""


class PairFull(Conflict):
    """The pair has its labels, or the budget is spent: one more would not count."""


class AssignmentAnswered(Conflict):
    """The assignment has been answered and cannot be given back."""


class BudgetBelowSpent(Conflict):
    """The limit would be below what is spent and reserved."""


class UnitInUse(Conflict):
    """The budget's unit cannot change once something is spent."""


class TooFewLabelsPerPair(Conflict):
    """A pair already has more labels than that."""


class LastAdmin(Conflict):
    """The last active admin stays."""


class AdminNamed(Conflict):
    """The annotator `admin` keeps its name."""


class AnnotatorInactive(Conflict):
    """The annotator is inactive."""


class DefaultProject(Conflict):
    """The project `default` always exists."""


class RecipeUnfilled(Conflict):
    """The project lacks what the recipe needs."""


class TooLarge(AppError):
    """The body is over the limit."""

    status = 413
    title = "Content too large"


class UnsupportedMedia(AppError):
    """The body's content type is not the one this call takes."""

    status = 415
    title = "Unsupported media type"


class InvalidInput(AppError):
    """A body or parameter of the wrong form."""

    status = 422
    title = "Invalid input"


class TooManyRequests(AppError):
    """Too many requests; come back after ``Retry-After`` seconds."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class Unavailable(AppError):
    """A part of the service is not there now; come back after ``Retry-After`` seconds."""

    status = 503
    title = "Unavailable"

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class CommandFailed(Exception):
    """A command cannot do its work; the message tells the person at the terminal why."""


class FileUnreadable(CommandFailed):
    """A file that cannot be read for sure."""


class EmbeddedPostgresError(CommandFailed):
    """The embedded database cannot run."""


class DataDirInUse(EmbeddedPostgresError):
    """Another process works in this data folder."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"{data_dir} is in use by {holder}: stop it first, or choose another --data-dir."
        )


class DataDirUnusable(EmbeddedPostgresError):
    """The data folder has wrong permissions, a missing file, or another Postgres version."""


class BinariesMissing(EmbeddedPostgresError):
    """The PostgreSQL binaries are not installed, or do not run here."""


class ServerFailed(EmbeddedPostgresError):
    """Postgres ended while it started, or took too long; the message ends with its log."""


class ProgramFailed(CommandFailed):
    """A program of PostgreSQL's failed; the message ends with its output."""


class BackupUnwritable(CommandFailed):
    """The file of the backup cannot be written."""


class BackupUnusable(CommandFailed):
    """The file is not a complete backup that this version can restore."""


class DatabaseUnsuited(CommandFailed):
    """The database to restore into is in use, or not empty."""
