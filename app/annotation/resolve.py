"""Find prompts and responses by either of their ids: the caller's or the service's."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries import resolve as queries
from app.errors import FieldError, InvalidInput, UnknownPrompt
from app.storage.ids import IdKind, decode, encode
from app.storage.tables import Project


@dataclass(frozen=True, slots=True)
class NamedPrompt:
    """A prompt, and its responses' numbers by either of their ids."""

    id: int
    responses: dict[str, int]


async def find_project_of(
    session: AsyncSession, names: Sequence[str], default: Project, *, is_given: bool
) -> int:
    """The one project that has the prompts of these ids.

    The caller's own ids are of ``default``. Ours are too, if the caller has given that project
    (``is_given``); otherwise they may be of any.

    Raises:
        UnknownPrompt: no prompt has one of the ids.
        InvalidInput: the prompts are of several projects.
    """
    if is_given:
        return default.id
    in_default = await find_by_names(session, default.id, set(names))
    numbers = {name: decode(IdKind.PROMPT, name) or 0 for name in names if name not in in_default}
    elsewhere = await queries.projects_of(session, set(numbers.values()))
    found = {default.id} if in_default else set()
    for place, name in enumerate(names):
        if name in numbers:
            if numbers[name] not in elsewhere:
                raise unknown_prompt(place)
            found.add(elsewhere[numbers[name]])
    if len(found) > 1:
        error = FieldError(("body", "labels"), "the prompts are of several projects")
        raise InvalidInput(error.msg, errors=(error,))
    return found.pop()


def unknown_prompt(place: int) -> UnknownPrompt:
    """The error of the label at that place, whose prompt is not there."""
    return UnknownPrompt(f"labels.{place}.prompt_id: no prompt of the project has that id")


async def find_by_names(
    session: AsyncSession, project_id: int, names: Collection[str]
) -> dict[str, NamedPrompt]:
    """The project's prompts of these ids. If an id could be of either kind, it is the caller's."""
    ours = {name: number for name in names if (number := decode(IdKind.PROMPT, name)) is not None}
    rows = await queries.responses_by_names(session, project_id, set(names), set(ours.values()))
    by_number: dict[int, NamedPrompt] = {}
    by_external: dict[str, int] = {}
    for row in rows:
        prompt = by_number.setdefault(row.prompt_id, NamedPrompt(row.prompt_id, {}))
        prompt.responses.setdefault(encode(IdKind.RESPONSE, row.response_id), row.response_id)
        if row.response_external_id is not None:
            prompt.responses[row.response_external_id] = row.response_id
        if row.prompt_external_id is not None:
            by_external[row.prompt_external_id] = row.prompt_id
    numbers = ours | {name: by_external[name] for name in names if name in by_external}
    return {name: by_number[number] for name, number in numbers.items() if number in by_number}
