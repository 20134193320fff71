from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from app.exports.cycles import Edge, break_cycles

Preference = tuple[str, str, float]
texts = st.sampled_from("abcdef")
preferences = st.lists(
    st.tuples(texts, texts, st.sampled_from([1.0, 2.0, 3.0])).filter(
        lambda each: each[0] != each[1]
    ),
    max_size=12,
)


def _edges(drawn: list[Preference]) -> list[Edge[Preference]]:
    return [Edge(each[0], each[1], each[2], order, each) for order, each in enumerate(drawn)]


def _has_cycle(drawn: list[Preference]) -> bool:
    """By taking away what nothing is better than, until nothing is left or nothing can go."""
    left = list(drawn)
    while left:
        losers = {worse for _, worse, _ in left}
        rest = [each for each in left if each[0] in losers]
        if len(rest) == len(left):
            return True
        left = rest
    return False


def test_the_weakest_of_a_cycle_is_dropped() -> None:
    drawn = [("a", "b", 3.0), ("b", "c", 1.0), ("c", "a", 2.0), ("c", "d", 1.0)]

    assert break_cycles(_edges(drawn)) == (
        [("a", "b", 3.0), ("c", "a", 2.0), ("c", "d", 1.0)],
        1,
    )


def test_of_equal_evidence_the_latest_of_a_cycle_is_dropped() -> None:
    drawn = [("a", "b", 1.0), ("b", "c", 1.0), ("c", "a", 1.0)]

    kept, _ = break_cycles(_edges(drawn))

    assert kept == [("a", "b", 1.0), ("b", "c", 1.0)]


def test_both_directions_of_one_pair_are_a_cycle() -> None:
    drawn = [("a", "b", 1.0), ("b", "a", 2.0)]

    assert break_cycles(_edges(drawn)) == ([("b", "a", 2.0)], 1)


@given(preferences)
def test_the_result_has_no_cycle_and_without_one_nothing_is_dropped(
    drawn: list[Preference],
) -> None:
    kept, cycles = break_cycles(_edges(drawn))

    assert not _has_cycle(kept)
    assert (cycles > 0) is _has_cycle(drawn)
    if not cycles:
        assert kept == drawn


@given(preferences)
def test_no_more_goes_than_what_would_close_a_circle(drawn: list[Preference]) -> None:
    kept, _ = break_cycles(_edges(drawn))
    dropped = [each for each in drawn if each not in kept]

    assert all(_has_cycle([*kept, each]) for each in dropped)


def test_the_order_in_which_edges_come_does_not_matter() -> None:
    edges = _edges([("a", "b", 1.0), ("b", "c", 1.0), ("c", "a", 1.0), ("c", "b", 2.0)])
    found = {frozenset(break_cycles(list(order))[0]) for order in permutations(edges)}

    assert len(found) == 1
