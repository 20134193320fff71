"""Preferences that contradict each other in a circle: found, and broken. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Edge(Generic[Item]):
    """One preference: ``better`` over ``worse``, by what the two say."""

    better: str
    worse: str
    evidence: float
    order: int
    """Breaks ties of evidence: the lower stays."""
    item: Item


@dataclass(frozen=True, slots=True)
class Acyclic(Generic[Item]):
    """What is left, in the order it came, and how many circles there were."""

    items: tuple[Item, ...]
    cycles: int
    """Sets of texts each of which is, by some way round, preferred to each other one."""


def break_cycles(edges: Sequence[Edge[Item]]) -> Acyclic[Item]:
    """The preferences, without those that would close a circle over stronger ones.

    Ranked pairs (T. N. Tideman, 1987): they are taken from the most evidence to the least, and one
    that contradicts what was taken before is left out. So the weakest of a circle gives way, the
    result depends on no order but the edges' own, and nothing that stands in no circle is lost.
    """
    below: dict[str, set[str]] = {}
    for edge in edges:
        below.setdefault(edge.better, set()).add(edge.worse)
    components = _cyclic_components(below)
    if not components:
        return Acyclic(tuple(edge.item for edge in edges), cycles=0)
    kept: dict[str, set[str]] = {}
    taken = set()
    for place, edge in sorted(enumerate(edges), key=lambda each: _rank(each[1])):
        if not _reaches(kept, edge.worse, edge.better):
            kept.setdefault(edge.better, set()).add(edge.worse)
            taken.add(place)
    items = tuple(edge.item for place, edge in enumerate(edges) if place in taken)
    return Acyclic(items, cycles=components)


def _rank(edge: Edge[Item]) -> tuple[float, int]:
    return -edge.evidence, edge.order


def _cyclic_components(below: dict[str, set[str]]) -> int:
    """How many strongly connected components have more than one text."""
    if len(below) < 2:
        return 0
    reach = {text: _reachable(below, text) for text in below}
    found: set[frozenset[str]] = set()
    for text, reached in reach.items():
        if text in reached:
            found.add(frozenset(other for other in reached if text in reach.get(other, ())))
    return len(found)


def _reachable(below: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for text in below.get(waiting.pop(), ()):
            if text not in reached:
                reached.add(text)
                waiting.append(text)
    return reached


def _reaches(below: dict[str, set[str]], start: str, end: str) -> bool:
    return start == end or end in _reachable(below, start)
