"""Find prompts and responses by either of their ids: the caller's or the service's."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.annotation.queries import resolve as queries
from app.storage.ids import IdKind, decode, encode


@dataclass(frozen=True, slots=True)
class NamedPrompt:
    """A prompt, and its responses' numbers by either of their ids."""

    id: int
    responses: dict[str, int]


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
