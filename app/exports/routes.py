"""The exports over HTTP, for admins only."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import StreamingResponse

from app.accounts.dependencies import AdminKey, AdminReader
from app.exports.bundle import stream_bundle
from app.exports.download import Download, refuse_if_full
from app.exports.encoding import JsonLines
from app.exports.parquet import ParquetRowGroups
from app.exports.preview import preview_export
from app.exports.recipes import RECIPES, find_recipe
from app.exports.schemas import ExportOptions, Preview, RecipeList, RecipeView
from app.exports.service import Export, stream_export
from app.http.json_route import JsonRoute
from app.http.problems import problems
from app.projects.schemas import ProjectQuery
from app.projects.service import find_project
from app.settings import DEFAULT_PROJECT
from app.storage.sessions import Session, Sessions

router = APIRouter(prefix="/exports", route_class=JsonRoute, tags=["exports"])

_EXAMPLE_LINE: Final = '{"prompt":"Explain DPO.","chosen":"It trains …","rejected":"No idea."}\n'
_GZIP: Final = "application/gzip"
_ZIP: Final = "application/zip"
_HEADERS: Final[dict[str, Any]] = {
    "X-Pending-Prompts": {
        "description": "Prompts left out because their group is not fixed yet.",
        "schema": {"type": "integer"},
    },
    "X-Prompts-With-Tools-Left-Out": {
        "description": "Labelled prompts left out because the file cannot hold their tools or tool"
        " calls.",
        "schema": {"type": "integer"},
    },
    "Content-Disposition": {
        "description": "The name of the file.",
        "schema": {"type": "string"},
        "example": 'attachment; filename="default-dpo-all.jsonl"',
    },
}
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The dataset, as a download.",
        "headers": _HEADERS,
        "content": {
            _GZIP: {"schema": {"type": "string", "format": "binary"}},
            JsonLines.media_type: {
                "schema": {"type": "string"},
                "example": _EXAMPLE_LINE,
            },
            ParquetRowGroups.media_type: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_BUNDLE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The folder of the dataset, as a ZIP.",
        "headers": _HEADERS,
        "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("", summary="List the export recipes", responses=problems(401, 403))
async def list_recipes(_: AdminKey) -> RecipeList:
    """Every recipe, with its purpose and the columns of its files."""
    return RecipeList(
        recipes=[
            RecipeView(
                name=recipe.name,
                description=recipe.description,
                columns=list(recipe.columns),
            )
            for recipe in RECIPES.values()
        ]
    )


async def _export(
    *,
    recipe: Annotated[
        str,
        Path(
            description="A recipe of `GET /exports`.",
            openapi_examples={"dpo": {"summary": "Preference pairs", "value": "dpo"}},
        ),
    ],
    project: ProjectQuery = DEFAULT_PROJECT,
    options: Annotated[ExportOptions, Depends()],
    session: Session,
    principal: AdminReader,
) -> Export:
    found = find_recipe(recipe)
    row = await find_project(session, project, principal)
    return Export(row.id, row.name, found, options)


Wanted = Annotated[Export, Depends(_export)]


@router.get(
    "/{recipe}",
    summary="Download the labels as a dataset",
    response_class=StreamingResponse,
    responses=_FILE | problems(401, 403, 404, 409, 422),
)
async def export_dataset(request: Request, export: Wanted) -> Download:
    """Stream the project's labels, one state of them, in the columns a trainer loads as they are.

    Pairs whose labels are a tie, or whose prompt has no group yet, give no row. Of preferences that
    contradict each other in a cycle, the least supported are left out. `margin` is the mean
    strength of the labels that agree with the row if every row of the file has one; otherwise it is
    the gap of the fitted rewards, in the whole file. Prompts with tools or tool calls are taken by
    recipes and layouts that can hold them, with a column `tools`, and counted otherwise. The same
    data and query give the same bytes. A
    download that fails in the middle breaks the connection. 409: the project lacks what the recipe
    needs.
    """
    return Download(
        request, export, stream_export, media_type=export.media_type, filename=export.filename
    )


@router.get(
    "/{recipe}/preview",
    summary="What a download would hold: counts, first rows, bytes",
    responses=problems(401, 403, 404, 409, 422),
)
async def preview(request: Request, export: Wanted) -> Preview:
    """The same options as the download, and the same work: it is written, and thrown away.

    Of the labelled pairs, some give no row; `left_out` says why. 409: the project lacks what the
    recipe needs.
    """
    sessions: Sessions = request.app.state.sessions
    slots: asyncio.Semaphore = request.app.state.download_slots
    refuse_if_full(slots)
    async with slots, sessions() as session:
        return await preview_export(session, export)


@router.get(
    "/{recipe}/bundle",
    summary="Download train, test, dataset card and manifest in one ZIP",
    response_class=StreamingResponse,
    responses=_BUNDLE | problems(401, 403, 404, 409, 422),
)
async def export_bundle(request: Request, export: Wanted) -> Download:
    """Stream one state of the labels as a folder that `datasets.load_dataset` opens.

    It has `train` and `test` (or only the requested `split`; a split without rows has no file), a
    dataset card (`README.md`) and `manifest.json`: project, options, counts, versions, and the
    SHA-256 of each file. The ZIP's directory comes last, so a ZIP that was cut off does not open.
    409: the project lacks what the recipe needs, or no split has rows.
    """
    return Download(
        request,
        export,
        stream_bundle,
        media_type=_ZIP,
        filename=f"{export.project_name}-{export.recipe.name}.zip",
    )
