"""Which requests are too many: those of one key, and wrong keys from one address.

Hits are counted a minute at a time: in Redis, which all API processes share, or in this process
where there is no Redis or while it does not answer.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.settings import Settings
from app.storage.redis_patience import RETRY_SECONDS, RedisPatience

_REDIS_TIMEOUT_SECONDS: Final = 0.05
"""The longest that Redis may delay a request."""
_REDIS_CONNECTIONS: Final = 16
_REDIS_PREFIX: Final = "annotation-budget:rate"
_MAX_REMEMBERED: Final = 10_000
_DIGEST_BYTES: Final = 16


class RateLimits:
    """The two limits of an API process.

    A key that has been accepted here is known: its requests count against the key's own limit. Any
    other key may be a guess: after too many wrong keys from one address, unknown keys from there
    are refused without a look until the minute is over. Known keys behind the same proxy go on
    working.
    """

    def __init__(self, settings: Settings) -> None:
        redis_url = None if settings.redis_url is None else str(settings.redis_url)
        self._counter = HitCounter(redis_url)
        self._requests = _per_minute(settings.rate_limit_requests_per_minute, "requests")
        self._failures = _per_minute(settings.rate_limit_failures_per_minute, "failures")
        self._known_keys = _Recent()
        self._refused_until = _Recent()

    async def seconds_to_wait(self, key: str, address: str, *, is_counted: bool) -> float | None:
        """How long a request with that key has to wait; None if it may go on."""
        if key not in self._known_keys:
            wait = self._refused_until.get(address, 0.0) - time.monotonic()
            return wait if wait > 0 else None
        return await self.seconds_until_room(key) if is_counted else None

    async def seconds_until_room(self, key: str) -> float | None:
        """Count a request of somebody who is known; gives how long it has to wait, if it has to."""
        return None if self._requests is None else await self._counter.hit(self._requests, key)

    def accepted(self, key: str) -> None:
        """Remember a key that belongs to somebody."""
        self._known_keys.put(key, 0.0)

    async def rejected(self, key: str, address: str) -> None:
        """Count a key that belongs to nobody against the address that sent it."""
        self._known_keys.pop(key, None)
        if self._failures is None:
            return
        wait = await self._counter.hit(self._failures, address)
        if wait is not None:
            self._refused_until.put(address, time.monotonic() + wait)

    async def close(self) -> None:
        """Close the connections."""
        await self._counter.close()


class HitCounter:
    """Counts hits against limits. While Redis does not answer, each process counts its own."""

    def __init__(self, redis_url: str | None, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared: FixedWindowRateLimiter | None = None
        self._pool: BlockingConnectionPool | None = None
        self._patience = RedisPatience("rate limits", retry_seconds)
        if redis_url is not None:
            self._pool = BlockingConnectionPool.from_url(
                redis_url,
                max_connections=_REDIS_CONNECTIONS,
                timeout=_REDIS_TIMEOUT_SECONDS,
                socket_timeout=_REDIS_TIMEOUT_SECONDS,
                socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
            self._shared = FixedWindowRateLimiter(
                RedisStorage(
                    "async+redis://",
                    implementation="redispy",
                    key_prefix=_REDIS_PREFIX,
                    # The library passes its options on to Redis unchanged.
                    connection_pool=self._pool,  # type: ignore[arg-type]
                )
            )

    async def hit(self, limit: RateLimitItem, name: str) -> float | None:
        """Count a hit; None within the limit, else the seconds until there is room again."""
        if self._shared is not None and self._patience.may_ask():
            try:
                async with asyncio.timeout(_REDIS_TIMEOUT_SECONDS):
                    wait = await _hit(self._shared, limit, name)
            except (RedisError, OSError, TimeoutError) as error:
                self._patience.failed(error)
            else:
                self._patience.answered()
                return wait
        return await _hit(self._local, limit, name)

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.aclose()


async def _hit(limiter: FixedWindowRateLimiter, limit: RateLimitItem, name: str) -> float | None:
    if await limiter.hit(limit, name):
        return None
    window = await limiter.get_window_stats(limit, name)
    return max(0.0, window.reset_time - time.time())


class _Recent(OrderedDict[str, float]):
    """The most recent names, each with a time; bounded, because clients choose the names."""

    def put(self, name: str, moment: float) -> None:
        self[name] = moment
        self.move_to_end(name)
        if len(self) > _MAX_REMEMBERED:
            self.popitem(last=False)


def digest_of_key(authorization: bytes) -> str:
    """What stands for a key in memory and in Redis: never the key itself."""
    return hashlib.blake2b(authorization, digest_size=_DIGEST_BYTES).hexdigest()


def _per_minute(amount: int, namespace: str) -> RateLimitItemPerMinute | None:
    return RateLimitItemPerMinute(amount, namespace=namespace) if amount else None
