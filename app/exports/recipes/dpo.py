"""Plain preference pairs: DPO (arXiv 2305.18290) and every loss that takes the same rows.

One row a pair: ``prompt`` x, ``chosen`` y_w, ``rejected`` y_l, for
−log σ(β log π(y_w|x)/π_ref(y_w|x) − β log π(y_l|x)/π_ref(y_l|x)).
Trainers: TRL's DPOTrainer (also its IPO, SimPO, ORPO and CPO losses); Adaptive Preference Scaling
(arXiv 2406.02764) and SPO (arXiv 2409.17791), which take plain pairs too.
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import Column, Kind, Layout, Recipe, Row, prompt_turns, response_turns


def _rows(preferred: PreferredPair, layout: Layout) -> Iterator[Row]:
    yield {
        "prompt": prompt_turns(preferred.pair.prompt, layout),
        "chosen": response_turns(preferred.chosen.text, layout),
        "rejected": response_turns(preferred.rejected.text, layout),
    }


RECIPE = Recipe(
    name="dpo",
    description="Preference pairs for DPO, IPO, SimPO, ORPO and CPO",
    columns=(
        Column("prompt", Kind.TURNS),
        Column("chosen", Kind.TURNS),
        Column("rejected", Kind.TURNS),
    ),
    rows=_rows,
)
