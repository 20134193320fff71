from app.selection.cost import expected_seconds


def test_a_pair_costs_its_base_and_the_time_to_read_both_responses() -> None:
    assert expected_seconds(0, seconds_base=8, words_per_minute=238) == 8
    assert expected_seconds(476, seconds_base=8, words_per_minute=238) == 128
