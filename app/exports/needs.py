"""What a recipe needs of a project, and what a project lacks."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import RecipeUnfilled
from app.exports.queries import pairs as queries
from app.exports.queries.pairs import Source
from app.exports.recipe import Need
from app.exports.recipes.contrastive import LOG_PROBABILITIES


async def check_needs(session: AsyncSession, source: Source) -> None:
    """Look whether the project has anything of what the recipe needs.

    Rows that lack it by themselves are left out; a project in which all would is told.

    Raises:
        RecipeUnfilled: it has nothing of it; the detail says what is missing.
    """
    if Need.REFERENCE in source.needs and not await queries.has_reference(
        session, source.project_id
    ):
        raise RecipeUnfilled(
            "the recipe needs reference responses: send the reference policy's response of each"
            " prompt with `reference: true`"
        )
    if Need.LOG_PROBABILITIES in source.needs and not await queries.has_metadata(
        session, source.project_id, LOG_PROBABILITIES
    ):
        raise RecipeUnfilled(
            "the recipe needs log-probabilities under both system prompts: send responses with"
            " `logprob_safe` and `logprob_unsafe` in their metadata"
        )
    if Need.EDITS in source.needs and not await queries.has_edit(session, source):
        raise RecipeUnfilled(
            "the recipe needs edits: no label has an improved text of the preferred response"
            " (`edited`)"
        )
