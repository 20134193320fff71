"""Bulk import over HTTP; admins only."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from app.accounts.dependencies import AdminKey
from app.errors import FieldError, InvalidInput
from app.http.json_route import JsonRoute, require_media_type
from app.http.problems import problems
from app.imports.bodies import CSV, DOCUMENT, LINES, PARQUET, TSV, opened_body
from app.imports.preview import PREVIEWED_LINES, preview_import
from app.imports.schemas import ImportPreview, ImportReport, RunningImports
from app.imports.service import import_prompts, running_imports
from app.projects.schemas import ProjectQuery
from app.projects.service import find_project
from app.settings import DEFAULT_PROJECT
from app.storage.sessions import Session, Sessions

router = APIRouter(route_class=JsonRoute, tags=["prompts"])

_ANY_LENGTH: Final = 2**63 - 1
_EXAMPLE_LINE: Final = '{"prompt": "Explain DPO.", "chosen": "It trains …", "rejected": "Oil."}\n'
_EXAMPLE_TABLE: Final = "prompt,chosen,rejected\nExplain DPO.,It trains …,Oil.\n"
_EXAMPLE_ARRAY: Final = [{"prompt": "Explain DPO.", "chosen": "It trains …", "rejected": "Oil."}]
_CONTENT: Final[dict[str, Any]] = {
    LINES: {"schema": {"type": "string"}, "example": _EXAMPLE_LINE},
    DOCUMENT: {
        "schema": {"type": "array", "items": {"type": "object"}},
        "example": _EXAMPLE_ARRAY,
    },
    CSV: {"schema": {"type": "string"}, "example": _EXAMPLE_TABLE},
    TSV: {"schema": {"type": "string"}, "example": _EXAMPLE_TABLE.replace(",", "\t")},
    PARQUET: {"schema": {"type": "string", "format": "binary"}},
}
_MAX_MAP_CHARACTERS: Final = 10_000
_COLUMN_MAP: Final = TypeAdapter(dict[str, Annotated[str, Field(min_length=1, max_length=100)]])


@router.post(
    "/prompts/import",
    summary="Import prompts, one a line",
    max_body_size=_ANY_LENGTH,
    responses=problems(401, 403, 404, 413, 415, 422),
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
    columns: Annotated[
        str | None,
        Query(
            alias="map",
            max_length=_MAX_MAP_CHARACTERS,
            description="A JSON object: the names that columns are read by, as"
            ' `{"question":"prompt","answer_a":"response","answer_b":"response"}`. `response`: one'
            " more candidate; `metadata`: kept beside the prompt; `ignore`: left out",
        ),
    ] = None,
    dry_run: Annotated[
        bool, Query(description="Store nothing, and tell what the first 50 lines would become")
    ] = False,
) -> ImportReport | ImportPreview:
    """Any number of lines, a JSON array of any length, or a CSV or Parquet file. Each line, element
    or row is a prompt: this service's own form, Anthropic HH, TRL preference, UltraFeedback, PRO,
    KTO, a record that Argilla or Label Studio exported, or a row with two responses side by side.
    Good ones are stored, bad ones are reported by their number. Safe to repeat. A column that
    changes the meaning is used, or its line is rejected; others that are left out are counted."""
    media_type = require_media_type(request.headers, LINES, DOCUMENT, CSV, TSV, PARQUET)
    sessions: Sessions = request.app.state.sessions
    named = _column_map(columns)
    async with sessions() as session:
        await find_project(session, project)
    try:
        async with opened_body(request.stream(), media_type) as body:
            if dry_run:
                preview = await preview_import(
                    body.chunks,
                    is_document=body.is_document,
                    keep_extra=extra == "keep",
                    columns=named,
                )
                preview.rejected += body.refused.told[:PREVIEWED_LINES]
                return preview
            report = await import_prompts(
                sessions,
                project,
                body.chunks,
                keep_labels=labels == "keep",
                keep_extra=extra == "keep",
                is_document=body.is_document,
                columns=named,
            )
            report.tell_refused(body.refused.told, body.refused.count)
            return report
    except ClientDisconnect:
        # No client is left to read this, but it keeps the log from calling it a server error.
        raise InvalidInput("the stream broke off; the batches before are stored") from None


def _column_map(sent: str | None) -> dict[str, str]:
    if sent is None:
        return {}
    try:
        return _COLUMN_MAP.validate_json(sent)
    except ValidationError:
        error = FieldError(("query", "map"), "must be a JSON object of names, each a text")
        raise InvalidInput(f"map: {error.msg}", errors=(error,)) from None


@router.get(
    "/imports",
    summary="How far imports are",
    responses=problems(401, 403, 404, 422),
)
async def get_imports(
    session: Session, _: AdminKey, project: ProjectQuery = DEFAULT_PROJECT
) -> RunningImports:
    """A project's imports that run, or whose prompts are not planned yet, oldest first."""
    return await running_imports(session, project)
