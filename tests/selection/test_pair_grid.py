import itertools

from app.selection.pair_grid import column_of, pair_columns, pair_count


def test_columns_run_through_the_pairs_in_the_order_of_ids() -> None:
    for responses in (2, 3, 12, 64):
        pairs = list(itertools.combinations(range(responses), 2))
        first, second = pair_columns(responses)

        assert pairs == list(zip(first.tolist(), second.tolist(), strict=True))
        assert len(pairs) == pair_count(responses)
        assert list(range(len(pairs))) == [column_of(*pair, responses) for pair in pairs]
