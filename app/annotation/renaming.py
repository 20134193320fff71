"""Rename and erase annotators: accounts, and names that only stand in labels made elsewhere.

A name is changed everywhere in one transaction, in which the account, if there is one, can neither
claim nor label. Locks are taken in this order: accounts, the rows of the projects with labels of
that name, the annotator's row.
"""

import secrets
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import service as accounts
from app.accounts.schemas import AnnotatorChange, AnnotatorView, NameOfLabels
from app.accounts.views import annotator_view
from app.annotation.queries import renaming as queries
from app.errors import FieldError, InvalidInput, NameTaken, UnknownAnnotator
from app.storage.tables import Annotator

_ERASED: Final = "erased-"
_RANDOM_BYTES: Final = 8


async def change_annotator(
    session: AsyncSession, name: str, change: AnnotatorChange
) -> AnnotatorView | NameOfLabels:
    """Change an annotator, as far as fields are set in ``change``.

    Of somebody without an account, only the name can be changed.

    Raises:
        UnknownAnnotator: nobody has that name, or only labels have it.
        AdminNamed: the annotator ``admin`` keeps its name.
        NameTaken: an annotator has the new name, or a label has it.
        LastAdmin: no active admin would be left.
        InvalidInput: a project does not exist, or ``name``, ``role`` or ``active`` is null.
    """
    if "name" in change.model_fields_set and change.name is None:
        error = FieldError(("body", "name"), "must not be null")
        raise InvalidInput(f"name: {error.msg}", errors=(error,))
    new_name = change.name or name
    rest = AnnotatorChange(**change.model_dump(exclude={"name"}, exclude_unset=True))
    if new_name != name:
        account = await _rename(session, name, new_name)
        if account is None and not rest.model_fields_set:
            return NameOfLabels(name=new_name, labels=await queries.count_labels(session, new_name))
    return annotator_view(await accounts.change_annotator(session, new_name, rest))


async def erase_annotator(session: AsyncSession, name: str) -> None:
    """Erase a name: labels stay under a neutral one, and the account's key stops working.

    Raises:
        UnknownAnnotator: neither an annotator nor a label has that name.
        AdminNamed: the annotator ``admin`` keeps its name.
        LastAdmin: no active admin would be left.
    """
    account = await _rename(session, name, _ERASED + secrets.token_hex(_RANDOM_BYTES))
    if account is not None:
        await accounts.shut_out(session, account)


async def _rename(session: AsyncSession, name: str, new_name: str) -> Annotator | None:
    """Change a name everywhere; gives the account, if there is one."""
    has_account = await accounts.begin_renaming(session, name, new_name)
    projects = await queries.lock_projects_of(session, name)
    if not projects and not has_account:
        raise UnknownAnnotator("no annotator and no label has that name")
    account = await accounts.lock_annotator(session, name) if has_account else None
    if await queries.has_labels(session, new_name):
        raise NameTaken("labels of that name exist")
    if account is not None:
        account.name = new_name
        await session.flush()
    await queries.rename_labels(session, name, new_name, projects)
    return account
