"""SQL that finds the labelled prompts whose text others have too."""

from array import array

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.exports.repeats import Repeats
from app.storage.sql import statement

_SETS_PER_FETCH = 1000

# A prompt's text without its roles, and so without the assistant's cue at its end, and without the
# backslashes that protect a text which looks like a turn: a string and a chat that a layout or a
# recipe writes alike have it in common. Tools, and what else a turn holds, count too.
_TURNS = """
    CASE jsonb_typeof(content) WHEN 'string' THEN content #>> '{}' ELSE (
        SELECT string_agg(
            concat(turn ->> 'content', nullif(turn - 'role' - 'content', '{}'::jsonb)),
            E'\\n\\n' ORDER BY place
        )
        FROM jsonb_array_elements(content) WITH ORDINALITY AS turns (turn, place)
    ) END
"""
_REMOVED = ("\\", "system: ", "user: ", "assistant: ", "tool: ", "assistant:")


def _text_without_roles() -> str:
    sql = _TURNS
    for each in _REMOVED:
        sql = f"replace({sql}, '{each}', '')"
    return f"concat(btrim({sql}, E' \\n\\r\\t'), CAST(tools AS jsonb))"


# 64 bits: among ten million prompts, two have the same hash with a probability of 3e-6.
REPEATED_PROMPTS = statement(
    """
    SELECT array_agg(id ORDER BY id) AS ids
    FROM (
        SELECT id, hashtextextended({text}, 0) AS hash
        FROM prompts
        WHERE project_id = :project_id AND group_id IS NOT NULL
          AND EXISTS (
            SELECT FROM labels
            WHERE labels.project_id = :project_id AND labels.prompt_id = prompts.id
          )
    ) AS labelled
    GROUP BY hash
    HAVING count(*) > 1
    ORDER BY min(id)
    """,
    text=_text_without_roles(),
)


async def find_repeated_prompts(session: AsyncSession, project_id: int) -> Repeats:
    """The project's labelled prompts that have the same text, in sets.

    PostgreSQL sorts a number of each labelled prompt; two numbers are kept of each that is found.
    Served by ``ix_labels_listing`` or ``ix_labels_prompt``, and by the primary key.
    """
    ids, ends = array("q"), array("q", [0])
    result = await session.stream(
        REPEATED_PROMPTS,
        {"project_id": project_id},
        execution_options={"yield_per": _SETS_PER_FETCH},
    )
    async for rows in result.partitions():
        for row in rows:
            ids.extend(row.ids)
            ends.append(len(ids))
    return Repeats.of(np.array(ids, dtype=np.int64), np.array(ends, dtype=np.int64))
