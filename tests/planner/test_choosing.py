import pytest

from app.planner.choosing import first_page
from app.planner.queries.prompts import PlannablePrompt
from app.selection.registry import STRATEGIES
from app.settings import MAX_EMBEDDING_DIMENSIONS, PLAN_AHEAD


def prompts(responses: int) -> list[PlannablePrompt]:
    pairs = responses * (responses - 1) // 2
    return [PlannablePrompt(one, False, 0, False, 0.5, pairs) for one in range(5000)]


@pytest.mark.parametrize(
    ("strategy", "responses", "dimensions", "together"),
    [
        ("dissimilar", 4, 384, 512),
        ("thompson", 4, 384, PLAN_AHEAD),
        ("uncertain", 4, 384, PLAN_AHEAD),
        ("coverage", 2, 384, PLAN_AHEAD),
        # 2016 pairs of 160 features of 8 bytes each, in 256 MiB.
        ("uncertain", 64, 384, 104),
        # 2 responses of 2 · 8192 numbers of 8 bytes each.
        ("gap", 2, MAX_EMBEDDING_DIMENSIONS, 1024),
    ],
)
def test_as_many_prompts_are_looked_at_together_as_fit(
    strategy: str, responses: int, dimensions: int, together: int
) -> None:
    page = first_page(prompts(responses), STRATEGIES[strategy], dimensions)

    assert list(page) == prompts(responses)[:together]
