from app.selection.registry import STRATEGIES


def test_lists_show_the_strategies_by_rank_then_by_name() -> None:
    assert list(STRATEGIES) == [
        "dissimilar",
        "dissimilar-typical",
        "auto",
        "dissimilar-global",
        "similar",
        "centroid",
        "random",
        "coverage",
        "uncertain",
        "bald-coverage",
        "gap",
        "optimistic",
        "thompson",
    ]
