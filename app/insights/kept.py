"""Figures that are dear to compute: once for all who ask at a time, and kept in proportion."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

_CHEAP_SECONDS: Final = 0.2
_KEEP_FACTOR: Final = 20
_LONGEST_SECONDS: Final = 600.0

Figures = TypeVar("Figures")


@dataclass(slots=True)
class _Entry:
    computing: asyncio.Lock = field(default_factory=asyncio.Lock)
    figures: Any = None  # what `compute` gave, of whatever type
    begun_at: float = float("-inf")
    fresh_until: float = float("-inf")


class KeptFigures:
    """The figures of this process that were computed lately.

    Those that took less than a fifth of a second are computed anew each time, so small projects
    are always up to date. Others are kept for twenty times as long as they took, ten minutes at
    most: whoever asks, and however often, they cost one connection a twentieth of its time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[Hashable, _Entry] = {}

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[Figures]]) -> Figures:
        """The figures of that key; whoever asks while they are computed shares them."""
        asked_at = self._clock()
        self._forget_stale(asked_at)
        entry = self._entries.setdefault(key, _Entry())
        async with entry.computing:
            begun_at = self._clock()
            if not (entry.begun_at >= asked_at or begun_at < entry.fresh_until):
                entry.figures = await compute()
                entry.begun_at = begun_at
                entry.fresh_until = self._clock() + _keep_seconds(self._clock() - begun_at)
            figures: Figures = entry.figures
            return figures

    def _forget_stale(self, now: float) -> None:
        for key, entry in tuple(self._entries.items()):
            if entry.fresh_until < now and not entry.computing.locked():
                del self._entries[key]


def _keep_seconds(took: float) -> float:
    return 0.0 if took < _CHEAP_SECONDS else min(_LONGEST_SECONDS, _KEEP_FACTOR * took)
