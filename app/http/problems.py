"""Turn every error into a problem+json answer, and document the errors of each operation."""

from typing import Any, Final

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from app import errors
from app.errors import AppError, FieldError
from app.http.logged_path import logged_path

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
_MAX_FIELD_ERRORS: Final = 100
_HIDDEN_ERROR: Final = "the service failed on this request; its log has the reason"

_DATABASE_AWAY: Final = "the database did not answer; the same request is safe to repeat"

_RETRY_AFTER: Final = {
    "description": "Seconds after which to come back.",
    "schema": {"type": "integer", "minimum": 0},
}

_BY_STATUS: Final = {kind.status: kind for kind in AppError.__subclasses__()}

_FIELD_PROBLEM: Final = {
    "type": "object",
    "properties": {
        "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
        "msg": {"type": "string"},
    },
    "required": ["loc", "msg"],
}
_PROBLEM: Final = {
    "title": "Problem",
    "description": "RFC 9457: what went wrong. `type` ends in a stable slug.",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": _FIELD_PROBLEM},
    },
    "required": ["type", "title", "status", "detail"],
}

_WITH_ANY_KEY: Final = (429, 503)
"""Possible for every operation that needs a key: keys are rate limited, and stored in Postgres."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of an operation that can answer these errors."""
    documented = (*statuses, *_WITH_ANY_KEY) if 401 in statuses else statuses
    return {
        status: {
            "description": _BY_STATUS[status].title,
            "headers": {"Retry-After": _RETRY_AFTER} if status in _WITH_ANY_KEY else {},
            "content": {
                MEDIA_TYPE: {
                    "schema": _PROBLEM,
                    "example": _example(_BY_STATUS[status]).problem(),
                }
            },
        }
        for status in documented
    }


def _example(kind: type[AppError]) -> AppError:
    detail = (kind.__doc__ or kind.title).splitlines()[0]
    example = kind.__new__(kind)
    AppError.__init__(example, detail)
    return example


def answer(error: AppError, scope: Scope) -> Response:
    """The problem+json answer for an ``AppError`` of a request."""
    return JSONResponse(
        error.problem(scope.get("root_path", "")),
        status_code=error.status,
        headers=error.headers,
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Make every error of the application a problem+json answer."""
    app.add_exception_handler(AppError, _answer_app_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    for away in (
        OperationalError,
        InterfaceError,
        PoolTimeout,
        psycopg.OperationalError,
        psycopg.InterfaceError,
    ):
        app.add_exception_handler(away, _answer_database_away)
    app.add_exception_handler(Exception, _answer_unexpected_error)


async def _answer_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return answer(error, request.scope)


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = tuple(
        FieldError(loc=tuple(_printable(part) for part in item["loc"]), msg=item["msg"])
        for item in error.errors()[:_MAX_FIELD_ERRORS]
    )
    where = errors.dotted(fields[0].loc)
    return answer(errors.InvalidInput(f"{where}: {fields[0].msg}", errors=fields), request.scope)


def _printable(part: str | int) -> str | int:
    """A place in the input; the caller chooses keys, so long ones are cut."""
    return part if isinstance(part, int) else part[:100]


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _BY_STATUS.get(error.status_code)
    headers = dict(error.headers or {})
    prefix = request.scope.get("root_path", "") + errors.PROBLEM_TYPE_PREFIX
    body: dict[str, object] = {
        "type": prefix + (kind.slug if kind else "http-error"),
        "title": kind.title if kind else error.detail,
        "status": error.status_code,
        "detail": error.detail,
    }
    return JSONResponse(body, status_code=error.status_code, headers=headers, media_type=MEDIA_TYPE)


async def _answer_database_away(request: Request, error: Exception) -> Response:
    """Postgres restarts, has no free connection, or aborted this transaction to end a deadlock."""
    log.warning("database away", path=logged_path(request.scope), error=str(error).splitlines()[0])
    return answer(errors.Unavailable(_DATABASE_AWAY, retry_after=1), request.scope)


async def _answer_unexpected_error(request: Request, error: Exception) -> Response:
    log.error(
        "request failed", method=request.method, path=logged_path(request.scope), exc_info=error
    )
    return answer(AppError(_HIDDEN_ERROR), request.scope)
