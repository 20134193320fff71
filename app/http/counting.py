"""Hits counted a minute at a time: in Redis, which all API processes share, or in this process."""

import asyncio
import time
from typing import Final

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.storage.redis_patience import RETRY_SECONDS, RedisPatience

ANSWER_SECONDS: Final = 0.05
"""The longest that Redis may hold a request up."""
_CONNECTIONS: Final = 16
_PREFIX: Final = "annotation-budget:rate"


class Counting:
    """Counts hits against limits. While Redis is away, each process counts its own."""

    def __init__(self, redis_url: str | None, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._here = FixedWindowRateLimiter(MemoryStorage())
        self._shared: FixedWindowRateLimiter | None = None
        self._pool: BlockingConnectionPool | None = None
        self._patience = RedisPatience("rate limits", retry_seconds)
        if redis_url is not None:
            self._pool = BlockingConnectionPool.from_url(
                redis_url,
                max_connections=_CONNECTIONS,
                timeout=ANSWER_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
            self._shared = FixedWindowRateLimiter(
                RedisStorage(
                    "async+redis://",
                    implementation="redispy",
                    key_prefix=_PREFIX,
                    # The library hands its options on to Redis as they are.
                    connection_pool=self._pool,  # type: ignore[arg-type]
                )
            )

    async def hit(self, limit: RateLimitItem, name: str) -> float | None:
        """Count a hit; None within the limit, else the seconds until there is room again."""
        if self._shared is not None and self._patience.may_ask():
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    wait = await _hit(self._shared, limit, name)
            except (RedisError, OSError, TimeoutError) as error:
                self._patience.failed(error)
            else:
                self._patience.answered()
                return wait
        return await _hit(self._here, limit, name)

    async def close(self) -> None:
        """Give the connections back."""
        if self._pool is not None:
            await self._pool.aclose()


async def _hit(limiter: FixedWindowRateLimiter, limit: RateLimitItem, name: str) -> float | None:
    if await limiter.hit(limit, name):
        return None
    window = await limiter.get_window_stats(limit, name)
    return max(0.0, window.reset_time - time.time())
