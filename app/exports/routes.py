"""The exports over HTTP; all of it is the admins'."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import StreamingResponse

from app.accounts.dependencies import AdminKey
from app.exports.download import Download
from app.exports.encoder import FILE_TYPES, FileFormat
from app.exports.recipes import RECIPES, find_recipe
from app.exports.schemas import ExportOptions, RecipeList, RecipeView
from app.exports.service import Export
from app.json_route import JsonRoute
from app.problems import problems
from app.projects.dependencies import ProjectQuery
from app.projects.service import find_project
from app.settings import DEFAULT_PROJECT
from app.storage.sessions import Session

router = APIRouter(prefix="/exports", route_class=JsonRoute, tags=["exports"])

_EXAMPLE_LINE: Final = '{"prompt":"Explain DPO.","chosen":"It trains …","rejected":"No idea."}\n'
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The dataset, as a download.",
        "headers": {
            "X-Pending-Prompts": {
                "description": "Prompts left out because their group is not fixed yet.",
                "schema": {"type": "integer"},
            },
            "Content-Disposition": {
                "description": "The name of the file.",
                "schema": {"type": "string"},
                "example": 'attachment; filename="default-dpo-all.jsonl"',
            },
        },
        "content": {
            FILE_TYPES[FileFormat.JSONL].media_type: {
                "schema": {"type": "string"},
                "example": _EXAMPLE_LINE,
            },
            FILE_TYPES[FileFormat.PARQUET].media_type: {
                "schema": {"type": "string", "format": "binary"}
            },
        },
    }
}


@router.get("", summary="List the export recipes", responses=problems(401, 403))
async def list_recipes(_: AdminKey) -> RecipeList:
    """Every recipe with what it is for, and the columns of its files."""
    return RecipeList(
        recipes=[
            RecipeView(
                name=recipe.name,
                description=recipe.description,
                columns=[column.name for column in recipe.columns],
            )
            for recipe in RECIPES.values()
        ]
    )


@router.get(
    "/{recipe}",
    summary="Download the labels as a dataset",
    response_class=StreamingResponse,
    responses=_FILE | problems(401, 403, 404, 422),
)
async def export_dataset(
    *,
    request: Request,
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
    principal: AdminKey,
) -> Download:
    """Stream the project's labels, one state of them, in the columns a trainer loads as they are.

    Pairs whose labels are a tie, or whose prompt has no group yet, give no row. `margin` is the
    mean strength of the labels that agree with the row if every row of the file has one, else null
    in the whole file. The same data and query give the same bytes. A download that fails in the
    middle breaks the connection.
    """
    found = find_recipe(recipe)
    row = await find_project(session, project, principal)
    export = Export(row.id, row.name, found, options)
    return Download(request.app.state.sessions, export)
