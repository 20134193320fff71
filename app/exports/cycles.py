"""Find and break cycles of preferences that contradict each other. Pure."""

from collections.abc import Mapping, Sequence
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
    below: dict[str, list[str]] = {}
    for edge in edges:
        below.setdefault(edge.better, []).append(edge.worse)
    component = _cyclic_components(below) if len(below) > 1 else {}
    if not component:
        return [edge.item for edge in edges], 0
    kept: dict[str, list[str]] = {}
    dropped: set[int] = set()
    for edge in sorted(edges, key=lambda edge: (-edge.evidence, edge.order)):
        # Only within a component can an edge close a cycle.
        number = component.get(edge.better)
        if number is None or component.get(edge.worse) != number:
            continue
        if edge.better in _reachable(kept, edge.worse):
            dropped.add(edge.order)
        else:
            kept.setdefault(edge.better, []).append(edge.worse)
    items = [edge.item for edge in edges if edge.order not in dropped]
    return items, len(set(component.values()))


def _cyclic_components(below: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The texts of strongly connected components of more than one text, with their numbers.

    In linear time, without recursion (R. E. Tarjan, 1972).
    """
    found: dict[str, int] = {}
    visited: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    for root in below:
        waiting = [(root, iter(below[root]))] if root not in visited else []
        while waiting:
            text, rest = waiting[-1]
            if text not in visited:
                visited[text] = lowest[text] = len(visited)
                path.append(text)
                on_path.add(text)
            for worse in rest:
                if worse not in visited:
                    waiting.append((worse, iter(below.get(worse, ()))))
                    break
                if worse in on_path:
                    lowest[text] = min(lowest[text], visited[worse])
            else:
                waiting.pop()
                if waiting:
                    above = waiting[-1][0]
                    lowest[above] = min(lowest[above], lowest[text])
                if lowest[text] == visited[text]:
                    members = path[path.index(text) :]
                    del path[-len(members) :]
                    on_path.difference_update(members)
                    if len(members) > 1:
                        found |= dict.fromkeys(members, visited[text])
    return found


def _reachable(below: Mapping[str, Sequence[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for text in below.get(waiting.pop(), ()):
            if text not in reached:
                reached.add(text)
                waiting.append(text)
    return reached
