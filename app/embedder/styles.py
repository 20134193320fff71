"""Fill in the style of responses that have a vector without it.

The embedder stores the style with the vectors it makes. Callers send vectors of their own, and
older services stored none: their responses are found here, in the order of their ids. A response
whose transaction ends late may be passed over, so a pass begins anew now and then.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedder.queries import styles as queries
from app.embedding.style import style_of, style_to_bytes
from app.storage.sessions import Sessions

IDS_AT_A_TIME: Final = 2**16
"""A pass looks at so many ids in a query."""
TEXTS_AT_A_TIME: Final = 1024
SECONDS_BETWEEN_PASSES: Final = 600.0
"""A pass over 10,000,000 responses that all have their style takes some seconds."""

log = structlog.get_logger()


async def store_styles(session: AsyncSession, texts: Mapping[int, str]) -> None:
    """Compute and store the styles of responses, given with their texts, by id."""
    styles = await asyncio.to_thread(style_of, list(texts.values()))
    await queries.store_styles(session, dict(zip(texts, map(style_to_bytes, styles), strict=True)))


@dataclass
class StyleFiller:
    """Where this process is in its pass over the responses."""

    sessions: Sessions
    clock: Callable[[], float] = time.monotonic
    _after: int = 0
    _next_pass: float = -1.0

    async def fill_batch(self) -> int:
        """Store the styles of some responses; gives how many ids are behind it, 0 at the end."""
        now = self.clock()
        if now >= self._next_pass:
            self._after = 0
            self._next_pass = now + SECONDS_BETWEEN_PASSES
        async with self.sessions.begin() as session:
            if not await queries.lock_styles(session):
                return 0
            last = await queries.last_response(session)
            if self._after >= last:
                return 0
            through = min(last, self._after + IDS_AT_A_TIME)
            missing = await queries.responses_without_style(
                session, after=self._after, through=through, limit=TEXTS_AT_A_TIME
            )
            await store_styles(session, missing)
        before = self._after
        self._after = max(missing) if len(missing) == TEXTS_AT_A_TIME else through
        if missing:
            log.info("styles filled in", responses=len(missing))
        return self._after - before
