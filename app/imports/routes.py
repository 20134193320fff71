"""Bulk import over HTTP; admins only."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect

from app.accounts.dependencies import AdminKey
from app.errors import InvalidInput
from app.http.json_route import JsonRoute, require_media_type
from app.http.problems import problems
from app.imports.schemas import ImportReport
from app.imports.service import import_prompts
from app.projects.schemas import ProjectQuery
from app.settings import DEFAULT_PROJECT
from app.storage.sessions import Sessions

router = APIRouter(prefix="/prompts", route_class=JsonRoute, tags=["prompts"])

_LINES: Final = "application/x-ndjson"
_DOCUMENT: Final = "application/json"
_ANY_LENGTH: Final = 2**63 - 1
_EXAMPLE_LINE: Final = '{"prompt": "Explain DPO.", "chosen": "It trains …", "rejected": "Oil."}\n'
_EXAMPLE_ARRAY: Final = [{"prompt": "Explain DPO.", "chosen": "It trains …", "rejected": "Oil."}]
_CONTENT: Final[dict[str, Any]] = {
    _LINES: {"schema": {"type": "string"}, "example": _EXAMPLE_LINE},
    _DOCUMENT: {
        "schema": {"type": "array", "items": {"type": "object"}},
        "example": _EXAMPLE_ARRAY,
    },
}


@router.post(
    "/import",
    summary="Import prompts, one a line",
    max_body_size=_ANY_LENGTH,
    responses=problems(401, 403, 404, 415, 422),
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
)
async def post_import(
    request: Request,
    _: AdminKey,
    project: ProjectQuery = DEFAULT_PROJECT,
    labels: Annotated[
        Literal["ignore", "keep"],
        Query(description="`keep`: store the preferences that lines carry as imported labels"),
    ] = "ignore",
    extra: Annotated[
        Literal["ignore", "keep"],
        Query(description="`keep`: put columns that are left out into the prompts' `metadata`"),
    ] = "ignore",
) -> ImportReport:
    """Any number of lines, or a JSON array of any length. Each line, or element, is a prompt: this
    service's own form, Anthropic HH, TRL preference, UltraFeedback, PRO, KTO, a record that Argilla
    or Label Studio exported, or a row with two responses side by side. Good lines are stored, bad
    ones are reported by their number. Safe to repeat. A column that changes the meaning is used, or
    its line is rejected; others that are left out are counted."""
    media_type = require_media_type(request.headers, _LINES, _DOCUMENT)
    sessions: Sessions = request.app.state.sessions
    try:
        return await import_prompts(
            sessions,
            project,
            request.stream(),
            keep_labels=labels == "keep",
            keep_extra=extra == "keep",
            is_document=media_type == _DOCUMENT,
        )
    except ClientDisconnect:
        # No client is left to read this, but it keeps the log from calling it a server error.
        raise InvalidInput("the stream broke off; the batches before are stored") from None
