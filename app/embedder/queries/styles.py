"""The SQL of responses whose style is not stored yet, and of storing it."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.style import STYLE_VERSION
from app.formats.tool_calls import render_response

_WITHOUT_STYLE = text("""
    SELECT embedded.response_id, responses.text, responses.tool_calls
    FROM response_embeddings AS embedded
    JOIN responses ON responses.id = embedded.response_id
    WHERE embedded.response_id > :after AND embedded.response_id <= :through AND NOT EXISTS (
        SELECT FROM response_styles AS known
        WHERE known.response_id = embedded.response_id AND known.version >= :version
    )
    ORDER BY embedded.response_id
    LIMIT :limit
""")
_LAST_RESPONSE = text("SELECT coalesce(max(response_id), 0) FROM response_embeddings")
_LOCK_STYLES = text("SELECT pg_try_advisory_xact_lock(hashtextextended('styles of responses', 0))")
_STORE_STYLES = text("""
    INSERT INTO response_styles (response_id, version, features)
    SELECT responses.id, :version, new.features
    FROM unnest(CAST(:ids AS bigint[]), CAST(:features AS bytea[])) AS new (id, features)
    JOIN responses ON responses.id = new.id
    ORDER BY responses.id
    FOR KEY SHARE OF responses SKIP LOCKED
    ON CONFLICT (response_id) DO UPDATE
    SET version = excluded.version, features = excluded.features
    WHERE response_styles.version < excluded.version
""")


async def lock_styles(session: AsyncSession) -> bool:
    """Whether this transaction alone fills in styles."""
    return bool(await session.scalar(_LOCK_STYLES))


async def last_response(session: AsyncSession) -> int:
    """The highest id of a response with a vector."""
    return int(await session.scalar(_LAST_RESPONSE) or 0)


async def responses_without_style(
    session: AsyncSession, *, after: int, through: int, limit: int
) -> dict[int, str]:
    """The texts of responses that have a vector and no style of this version, by rising id.

    Served by primary keys.
    """
    rows = await session.execute(
        _WITHOUT_STYLE,
        {"after": after, "through": through, "version": STYLE_VERSION, "limit": limit},
    )
    return {row.response_id: render_response(row.text, row.tool_calls) for row in rows}


async def store_styles(session: AsyncSession, styles: Mapping[int, bytes]) -> None:
    """Store the styles of responses, by id; a response that is being erased is left out."""
    if styles:
        await session.execute(
            _STORE_STYLES,
            {"version": STYLE_VERSION, "ids": list(styles), "features": list(styles.values())},
        )
