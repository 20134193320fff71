"""What a row is to the service, said once: for the queries and for the partial indexes under them.

PostgreSQL uses a partial index only where the query's condition implies the index's. A second
wording elsewhere could drift from the first, and the index would be lost without a word.
"""

from typing import Final

ARRIVING_PROMPT: Final = "status = 'ready' AND group_id IS NULL"
"""A prompt that is embedded, but whose group is not fixed yet. ``ix_prompts_unplanned``."""

PLANNABLE_PROMPT: Final = (
    "status = 'ready' AND group_id IS NOT NULL AND pairs_planned < pairs_total"
)
"""A prompt with pairs that are not in the plan. ``ix_prompts_plannable``.

Queries add the project's own bound, ``pairs_per_prompt``.
"""

WITH_NEW_RESPONSES: Final = "status = 'ready' AND pairs_considered < pairs_total"
"""A prompt that got responses after its pairs were chosen. ``ix_prompts_outgrown``."""

OUTGROWN_PROMPT: Final = f"{WITH_NEW_RESPONSES} AND sign(pairs_total - pairs_considered) = 1"
"""The same, for queries: the second wording tells PostgreSQL to expect few such prompts.

Otherwise it assumes a third of all prompts, and scans for the first of them.
"""

NEVER_HANDED_OUT: Final = "NOT handed_out AND arm <> 'imported'"
"""A pair of the plan that no annotator was ever given. ``ix_pairs_untouched``."""

UNSEEN_PAIR: Final = (
    f"{NEVER_HANDED_OUT} AND arm = 'strategy'"
    " AND held = 0 AND counted = 0 AND imported = 0 AND skips = 0"
)
"""A pair that the planner may remove from the plan: nobody has seen it, and it has no label."""

HELD_ASSIGNMENT: Final = "status = 'held'"
"""``ix_assignments_held``, ``ix_assignments_lease``."""

LIVE_LABEL: Final = "status <> 'withdrawn'"
"""``uq_labels_live``, ``uq_labels_assignment``."""

SURPLUS_LABEL: Final = "status = 'surplus'"
"""``ix_labels_surplus``."""
