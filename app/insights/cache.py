"""A cache for expensive figures; concurrent callers share one computation."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

_CHEAP_SECONDS: Final = 0.2
_SECONDS_PER_SECOND_OF_COST: Final = 20
_LONGEST_SECONDS: Final = 600.0
_LABEL_GROWTH: Final = 0.01
_MAX_PROJECTS: Final = 256

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Computed(Generic[Value]):
    """A cached value. Times are those of the cache's clock, in seconds."""

    value: Value
    labels: int
    """How many labels the project had when the value was asked for."""
    renamings: int
    """How often annotators had been renamed in the project by then."""
    began_at: float
    ended_at: float


FreshnessRule = Callable[[Computed[Value], int, float], bool]
"""Whether a value is fresh, given the project's number of labels and the time now."""


def fresh_in_proportion_to_cost(computed: Computed[Value], _: int, now: float) -> bool:
    """Fresh for 20 times as long as the computation took, but for ten minutes at most.

    Values that took less than 0.2 seconds are never fresh, so the figures of small projects are
    always up to date. Others occupy one connection for at most a twentieth of the time.
    """
    cost = computed.ended_at - computed.began_at
    if cost < _CHEAP_SECONDS:
        return False
    lifetime = min(_LONGEST_SECONDS, _SECONDS_PER_SECOND_OF_COST * cost)
    return now < computed.ended_at + lifetime


def fresh_until_labels_change(computed: Computed[Value], labels: int, now: float) -> bool:
    """Fresh until the project has one percent more or fewer labels, but for ten minutes at most.

    The time limit is for answers that were changed, which leaves the number of labels as it was.
    """
    if now - computed.began_at >= _LONGEST_SECONDS:
        return False
    return abs(labels - computed.labels) <= _LABEL_GROWTH * computed.labels


class Cache(Generic[Value]):
    """The values that this process computed last, for up to 256 projects.

    ``one_at_a_time``: compute for one project at a time, for work that keeps a CPU busy.
    """

    def __init__(
        self,
        is_fresh: FreshnessRule[Value],
        *,
        one_at_a_time: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_fresh = is_fresh
        self._one_at_a_time = one_at_a_time
        self._clock = clock
        self._computed: dict[int, Computed[Value]] = {}
        self._locks: WeakValueDictionary[int | None, asyncio.Lock] = WeakValueDictionary()

    async def get(
        self,
        project_id: int,
        labels: int,
        compute: Callable[[], Awaitable[Value]],
        *,
        renamings: int = 0,
    ) -> Value:
        """The value of a project that has so many labels, and so many ``renamings``, now.

        A value from before the last renaming is never fresh.

        Callers that wait share the next computation, which begins after they asked.
        """
        asked_at = self._clock()
        computed = self._computed.get(project_id)
        if computed is not None and self._is_usable(computed, labels, renamings, asked_at):
            return computed.value
        async with self._lock(project_id):
            computed = self._computed.get(project_id)
            began_at = self._clock()
            if computed is None or not (
                computed.began_at > asked_at
                or self._is_usable(computed, labels, renamings, began_at)
            ):
                value = await compute()
                computed = Computed(value, labels, renamings, began_at, self._clock())
                self._keep(project_id, computed)
            return computed.value

    def _is_usable(
        self, computed: Computed[Value], labels: int, renamings: int, now: float
    ) -> bool:
        return computed.renamings == renamings and self._is_fresh(computed, labels, now)

    def _lock(self, project_id: int) -> asyncio.Lock:
        key = None if self._one_at_a_time else project_id
        return self._locks.setdefault(key, asyncio.Lock())

    def _keep(self, project_id: int, computed: Computed[Value]) -> None:
        self._computed.pop(project_id, None)
        self._computed[project_id] = computed
        if len(self._computed) > _MAX_PROJECTS:
            oldest = next(iter(self._computed))
            del self._computed[oldest]
