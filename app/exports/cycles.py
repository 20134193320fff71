"""Find and break cycles of preferences that contradict each other. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Edge(Generic[Item]):
    """One preference: the text ``better`` over the text ``worse``."""

    better: str
    worse: str
    evidence: float
    order: int
    """Breaks ties of evidence: the lower is kept."""
    item: Item


@dataclass(frozen=True, slots=True)
class Acyclic(Generic[Item]):
    """The preferences that were kept, in their order, and how many cycles there were."""

    items: tuple[Item, ...]
    cycles: int
    """Sets of texts in which each is preferred to every other, directly or through others."""


def break_cycles(edges: Sequence[Edge[Item]]) -> Acyclic[Item]:
    """Drop the preferences that would close a cycle with stronger ones.

    Ranked pairs (T. N. Tideman, 1987): preferences are taken from the most evidence to the least,
    and one that contradicts those taken before is dropped. So the weakest of a cycle is dropped,
    the order of the input does not matter, and preferences outside cycles are all kept.
    """
    below: dict[str, set[str]] = {}
    for edge in edges:
        below.setdefault(edge.better, set()).add(edge.worse)
    components = _cyclic_components(below)
    if not components:
        return Acyclic(tuple(edge.item for edge in edges), cycles=0)
    kept: dict[str, set[str]] = {}
    taken = set()
    for index, edge in sorted(enumerate(edges), key=lambda each: _rank(each[1])):
        if not _reaches(kept, edge.worse, edge.better):
            kept.setdefault(edge.better, set()).add(edge.worse)
            taken.add(index)
    items = tuple(edge.item for index, edge in enumerate(edges) if index in taken)
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
