"""Curves as they were measured lately: measured again when the labels have grown."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from app.preference.measured import Measured

_GROWTH: Final = 0.01
_LONGEST_SECONDS: Final = 600.0
_MOST_CURVES: Final = 256


@dataclass(frozen=True, slots=True)
class _Entry:
    measured: Measured
    labels: int
    measured_at: float


class KeptCurves:
    """The curves that this process has measured, the latest ``256``.

    One is measured at a time, whoever asks. It is kept until the project's labels are one percent
    more or fewer, ten minutes at most (an answer may be changed without there being more of them).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._measuring = asyncio.Lock()
        self._entries: dict[int, _Entry] = {}

    async def get(
        self, project_id: int, labels: int, measure: Callable[[], Awaitable[Measured]]
    ) -> Measured:
        """The curve of a project that has so many labels now."""
        fresh = self._fresh(project_id, labels)
        if fresh is not None:
            return fresh
        async with self._measuring:
            fresh = self._fresh(project_id, labels)
            if fresh is None:
                begun_at = self._clock()
                fresh = await measure()
                self._keep(project_id, _Entry(fresh, labels, begun_at))
            return fresh

    def _fresh(self, project_id: int, labels: int) -> Measured | None:
        kept = self._entries.get(project_id)
        if kept is None or self._clock() - kept.measured_at >= _LONGEST_SECONDS:
            return None
        return kept.measured if abs(labels - kept.labels) <= _GROWTH * kept.labels else None

    def _keep(self, project_id: int, entry: _Entry) -> None:
        self._entries.pop(project_id, None)
        self._entries[project_id] = entry
        if len(self._entries) > _MOST_CURVES:
            del self._entries[next(iter(self._entries))]
