"""Add to the metadata of stored responses."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import FieldError, InvalidInput, UnknownPrompt
from app.prompts.fields import is_too_large
from app.prompts.matching import StoredResponse
from app.prompts.queries import reading, writing
from app.prompts.schemas import NewMetadata
from app.prompts.service import find_prompt
from app.settings import MAX_METADATA_BYTES
from app.storage.ids import IdKind, encode


async def add_metadata(session: AsyncSession, public_id: str, sent: Sequence[NewMetadata]) -> int:
    """Add keys to the metadata of a prompt's responses; gives how many responses changed.

    A key that is stored already gets the new value, and others stay. All are changed, or none.

    Raises:
        UnknownPrompt: no prompt has that id.
        InvalidInput: the prompt has no response of an id, one is named twice, or its metadata would
            be too large.
    """
    found = await find_prompt(session, public_id)
    prompt = await reading.lock_stored(session, found.id)
    if prompt is None:
        raise UnknownPrompt("no prompt has that id")
    changed: dict[int, tuple[None, dict[str, Any]]] = {}
    named: set[int] = set()
    known = _by_name(prompt.responses)
    for place, each in enumerate(sent):
        response = known.get(each.id)
        if response is None:
            raise _refused(place, "id", "the prompt has no response of that id")
        if response.id in named:
            raise _refused(place, "id", "the response is named twice")
        named.add(response.id)
        before = response.metadata or {}
        merged = {**before, **each.metadata}
        if is_too_large(merged):
            what = f"with what is stored, is over {MAX_METADATA_BYTES} bytes as JSON"
            raise _refused(place, "metadata", what)
        if merged != before:
            changed[response.id] = None, merged
    if changed:
        await writing.set_response_details(session, changed)
    return len(changed)


def _by_name(responses: Sequence[StoredResponse]) -> dict[str, StoredResponse]:
    """The responses by either of their ids. What could be of either kind is the caller's."""
    ours = {encode(IdKind.RESPONSE, each.id): each for each in responses}
    return ours | {each.external_id: each for each in responses if each.external_id is not None}


def _refused(place: int, field: str, detail: str) -> InvalidInput:
    fault = FieldError((place, field), detail)
    return InvalidInput(detail, errors=(fault,)).under(("body", "responses"))
