"""What people may do to the room, and how often: each action with its arguments.

Drawn in one place with fixed weights. As rules of their own, Hypothesis would switch some of them
off in each example, and what takes four actions in a row would hardly ever happen.
"""

from typing import Any

from hypothesis import strategies as st

from tests.annotation.ledger_model import ADMIN

PEOPLE = ("ana", "ben", "cem")
Action = tuple[str, dict[str, Any]]
Answer = tuple[int, str, int | None]
"""Which assignment (as ``picked`` reads it), what choice, after how many seconds."""
PairToBe = tuple[str, int, float]
"""Arm, expected seconds, the draw for the overlap."""

WHO = st.sampled_from(PEOPLE)
BY = st.sampled_from(("its own", "its own", "its own", ADMIN, *PEOPLE))
PICK = st.integers(0, 59)
CHOICE = st.sampled_from(("left", "right", "tie", "both_bad", "skip", "skip"))
SECONDS = st.sampled_from((None, 6, 30, 90, 5000))
LIMIT = st.sampled_from((None, None, 3, 2, 5, 1, 0))
SHARE = st.sampled_from((0.0, 0.5))
PAIR = st.tuples(
    st.sampled_from(("strategy", "strategy", "exploration")),
    st.sampled_from((6, 60, 120)),
    st.sampled_from((0.2, 0.7)),
)
OVERLAP = st.fixed_dictionaries({"share": SHARE, "labels": st.integers(1, 4)})

_ARGUMENTS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "claim": {"who": WHO, "budget": st.integers(1, 3)},
    "label_one": {"pick": PICK, "choice": CHOICE, "seconds": SECONDS},
    "label_late": {"pick": PICK, "choice": CHOICE, "seconds": SECONDS},
    "label_several": {
        "who": WHO,
        "answers": st.lists(st.tuples(PICK, CHOICE, SECONDS), min_size=1, max_size=3),
        "among": st.sampled_from(("own", "own", "own", "all")),
    },
    "undo": {"by": BY, "pick": PICK},
    "correct": {
        "pick": PICK,
        "withdraw": st.lists(PICK, max_size=3),
        "among": st.sampled_from(("its own", "its own", "its own", "all")),
        "answer": st.sampled_from(("left", "right", "tie", "both_bad")),
        "seconds": SECONDS,
    },
    "give_back": {"by": BY, "pick": PICK},
    "let_time_pass": {"picks": st.lists(PICK, min_size=1, max_size=3)},
    "change_limit": {"limit": LIMIT},
    "change_labels_per_pair": {"labels": st.integers(1, 3), "overlap": OVERLAP},
    "deactivate": {"who": WHO},
    "plan_a_pair": {"pair": PAIR},
    "erase_a_prompt": {"pick": PICK},
    "import_label": {
        "who": WHO,
        "pick": PICK,
        "places": st.one_of(st.permutations((0, 1)), st.permutations((0, 1, 2))),
    },
}
_WEIGHTS = {
    "claim": 7,
    "label_one": 7,
    "label_late": 6,
    "label_several": 2,
    "undo": 3,
    "correct": 3,
    "give_back": 2,
    "let_time_pass": 5,
    "import_label": 2,
}
ACTION: st.SearchStrategy[Action] = st.sampled_from(
    [name for name in _ARGUMENTS for _ in range(_WEIGHTS.get(name, 1))]
).flatmap(lambda name: st.tuples(st.just(name), st.fixed_dictionaries(_ARGUMENTS[name])))
