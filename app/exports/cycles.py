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
    """Its own number, which breaks ties of evidence: the lower is kept."""
    item: Item


def break_cycles(edges: Sequence[Edge[Item]]) -> tuple[list[Item], int]:
    """Drop the preferences that would close a cycle with stronger ones.

    Ranked pairs (T. N. Tideman, 1987): preferences are taken from the most evidence to the least,
    and one that contradicts those taken before is dropped. So the weakest of a cycle is dropped,
    the order of the input does not matter, and preferences outside cycles are all kept.

    Returns:
        The preferences that were kept, in their order, and how many cycles there were: sets of
        texts in which each is preferred to every other, directly or through others.
    """
    below: dict[str, set[str]] = {}
    for edge in edges:
        below.setdefault(edge.better, set()).add(edge.worse)
    components = _cyclic_components(below)
    if not components:
        return [edge.item for edge in edges], 0
    kept: dict[str, set[str]] = {}
    taken = set()
    for edge in sorted(edges, key=lambda edge: (-edge.evidence, edge.order)):
        if edge.better not in _reachable(kept, edge.worse):
            kept.setdefault(edge.better, set()).add(edge.worse)
            taken.add(edge.order)
    return [edge.item for edge in edges if edge.order in taken], components


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
