"""Which requests are too many: by key, and wrong keys by the address they come from."""

import hashlib
import time
from collections import OrderedDict
from typing import Final

from limits import RateLimitItemPerMinute

from app.http.counting import Counting
from app.settings import Settings

_REMEMBERED: Final = 10_000
_DIGEST_BYTES: Final = 16


class Rates:
    """The two limits of an API process.

    A key that has opened here is counted, and nothing else about it matters. Any other key is a
    guess until it opens: once too many from one address did not, further guesses from there are
    refused unseen, until the minute is over. So keys at work behind the same proxy go on working.
    """

    def __init__(self, settings: Settings) -> None:
        redis_url = None if settings.redis_url is None else str(settings.redis_url)
        self._counting = Counting(redis_url)
        self._requests = _per_minute(settings.rate_limit_requests_per_minute, "requests")
        self._failures = _per_minute(settings.rate_limit_failures_per_minute, "failures")
        self._known = _Remembered()
        self._refused_until = _Remembered()

    async def wait_for(self, key: str, address: str, *, is_counted: bool) -> float | None:
        """None where a request with that key may go on, else the seconds it has to wait."""
        if key not in self._known:
            wait = self._refused_until.get(address, 0.0) - time.monotonic()
            return wait if wait > 0 else None
        if self._requests is None or not is_counted:
            return None
        return await self._counting.hit(self._requests, key)

    def opened(self, key: str) -> None:
        """The key is somebody's."""
        self._known.remember(key, 0.0)

    async def failed(self, key: str, address: str) -> None:
        """The key, sent from that address, is nobody's."""
        self._known.pop(key, None)
        if self._failures is None:
            return
        wait = await self._counting.hit(self._failures, address)
        if wait is not None:
            self._refused_until.remember(address, time.monotonic() + wait)

    async def close(self) -> None:
        """Give the connections back."""
        await self._counting.close()


class _Remembered(OrderedDict[str, float]):
    """The names remembered last, each with a moment; bounded, because clients choose names."""

    def remember(self, name: str, moment: float) -> None:
        self[name] = moment
        self.move_to_end(name)
        if len(self) > _REMEMBERED:
            self.popitem(last=False)


def name_of(authorization: bytes) -> str:
    """What stands for a key here and in Redis: never the key itself."""
    return hashlib.blake2b(authorization, digest_size=_DIGEST_BYTES).hexdigest()


def _per_minute(amount: int, namespace: str) -> RateLimitItemPerMinute | None:
    return RateLimitItemPerMinute(amount, namespace=namespace) if amount else None
