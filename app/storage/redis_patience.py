"""If Redis stops answering, the service works without it and tries again later."""

import time
from typing import Final

import structlog

log = structlog.get_logger()

RETRY_SECONDS: Final = 5.0


class RedisPatience:
    """Whether to ask Redis now. After a failure, nobody asks for a while; then one caller tries.

    Losing Redis and getting it back are each logged once, without its address, which may hold a
    password.
    """

    def __init__(self, purpose: str, retry_seconds: float) -> None:
        self._purpose = purpose
        self._retry_seconds = retry_seconds
        self._is_away = False
        self._retry_at = 0.0

    def may_ask(self) -> bool:
        """Whether to ask. If so, report the outcome with ``answered`` or ``failed``."""
        if not self._is_away:
            return True
        now = time.monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._retry_seconds
        return True

    def answered(self) -> None:
        """Redis has answered."""
        if self._is_away:
            self._is_away = False
            log.info("Redis is back", purpose=self._purpose)

    def failed(self, error: BaseException) -> None:
        """Redis has not answered, or not in time."""
        self._retry_at = time.monotonic() + self._retry_seconds
        if not self._is_away:
            self._is_away = True
            log.warning(
                "Redis does not answer; going on without it",
                purpose=self._purpose,
                error=type(error).__name__,
            )
