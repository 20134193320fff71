"""Conditions on rows, each written once: for the queries and for the partial indexes they use.

PostgreSQL uses a partial index only where the query's condition implies the index's. If a query
had a wording of its own, a change to one of the two would silently lose the index.

Columns are unqualified: where a query joins tables that share a column's name, it applies the
condition in a subquery.
"""

from typing import Final

from app.settings import SKIPS_UNTIL_RETIRED
from app.storage.sql import fill

FAILED_PROMPT: Final = "status = 'failed'"
"""A prompt that the embedding model failed on. ``ix_prompts_failed``."""

WITHOUT_GROUP: Final = "group_id IS NULL AND status <> 'failed'"
"""A prompt that has not arrived in the plan, and is on its way. ``project_intake.unplanned``."""

NOT_IN_IMPORT: Final = "import_id IS NULL"
"""A prompt that no import is still adding to. Others are neither grouped nor planned.

Rows of one prompt may stand anywhere in a file: only at its end are all responses known.
"""

IN_IMPORT: Final = "import_id IS NOT NULL"
"""The opposite. ``ix_prompts_import``."""

RUNNING_IMPORT: Final = "expires_at > (SELECT clock_timestamp())"
"""An import that has neither ended nor stopped giving signs of life."""

RELEASABLE_IMPORT: Final = fill(
    """
    NOT {running} AND NOT (shared AND EXISTS (
        SELECT FROM imports AS other
        WHERE other.project_id = imports.project_id AND other.{running}
            AND other.started_at < imports.expires_at
    ))
    """,
    running=RUNNING_IMPORT,
)
"""An import whose prompts can be planned.

It has ended, and so have those that ran beside it, if one of them added to the same prompts.
"""

ARRIVING_PROMPT: Final = f"status = 'ready' AND group_id IS NULL AND {NOT_IN_IMPORT}"
"""A prompt that is embedded, but whose group is not fixed yet. ``ix_prompts_unplanned``."""

ARRIVED_PROMPT: Final = "status = 'ready' AND group_id IS NOT NULL"
"""A prompt that is embedded, and whose group is fixed."""

PLANNABLE_PROMPT: Final = f"{ARRIVED_PROMPT} AND pairs_planned < pairs_total AND {NOT_IN_IMPORT}"
"""A prompt with pairs that are not in the plan. ``ix_prompts_plannable``.

Queries add the project's own bound, ``pairs_per_prompt``.
"""

FRESH_PROMPT: Final = f"{PLANNABLE_PROMPT} AND next_round > 1"
"""A prompt whose next pair is of a later round than the first. ``ix_prompts_fresh``."""

WITH_LATER_ROUND: Final = "latest_round > 1"
"""A prompt with responses of a later round than the first. ``ix_prompts_rounds``."""

WITH_NEW_RESPONSES: Final = (
    f"status = 'ready' AND pairs_considered < pairs_total AND {NOT_IN_IMPORT}"
)
"""A prompt that got responses after its pairs were chosen. ``ix_prompts_outgrown``."""

OUTGROWN_PROMPT: Final = f"{WITH_NEW_RESPONSES} AND sign(pairs_total - pairs_considered) = 1"
"""The same, for queries: the second wording tells PostgreSQL to expect few such prompts.

Otherwise it assumes a third of all prompts, and scans for the first of them.
"""

HELD_ASSIGNMENT: Final = "status = 'held'"
"""``ix_assignments_held``, ``ix_assignments_lease``."""

EXPIRED_ASSIGNMENT: Final = f"{HELD_ASSIGNMENT} AND expires_at < (SELECT clock_timestamp())"
"""A held assignment whose lease is over: free for the next claim. ``ix_assignments_lease``.

The time comes from a subquery, which runs once: then the index can search for it. A bare
``clock_timestamp()`` may differ from row to row, and would be compared with each of them.
"""

LIVE_LABEL: Final = "status <> 'withdrawn'"
"""``uq_labels_live``, ``uq_labels_assignment``."""

# Spaced as PostgreSQL prints it: then the tables can be compared with a database.
IMPORTED_ANSWER: Final = """
CASE
    WHEN assignment_id IS NULL THEN choice
    ELSE ''
END"""
"""What makes an annotator's live labels of one pair different: one answer to an assignment, and
one imported label of each choice. ``uq_labels_live``.

The choice of an imported label is as if the pair's first response had been shown on the left.
"""

UNNAMED_PROMPT: Final = "external_id IS NULL"
"""A prompt without an id of the caller's. ``uq_prompts_fingerprint``, ``ix_prompts_content``."""

CONTENT_HASH: Final = "md5(content::text)"
"""What prompts without an id are found by when rows of one prompt are merged.
``ix_prompts_content``."""

SURPLUS_LABEL: Final = "status = 'surplus'"
"""``ix_labels_surplus``."""

JUDGING_LABEL: Final = "status NOT IN ('withdrawn', 'skipped', 'automatic')"
"""A person's label that stands and says something about its pair: no skip."""

ANSWER: Final = "coalesce(preferred_response_id::text, choice)"
"""What a label says, whatever side was shown."""

DISPUTED_LABEL: Final = "disputed"
"""A label that another one of its pair contradicts. ``ix_labels_disputed``."""

LABEL_WITH_REASON: Final = "rationale IS NOT NULL"
"""``ix_labels_reason``."""

EDITED_LABEL: Final = "edited IS NOT NULL OR edited_rejected IS NOT NULL"
"""A label with an edit of either response. ``ix_labels_edited``."""

UNCOUNTED_LABEL: Final = "status <> 'counted'"
"""A surplus, skipped, withdrawn or automatic label. ``ix_labels_uncounted``."""

UNDECIDED_LABEL: Final = "preferred_response_id IS NULL"
"""A tie, both bad, or a skip. ``ix_labels_undecided``."""

HAS_ROOM: Final = f"held + counted + imported < labels_wanted AND skips < {SKIPS_UNTIL_RETIRED}"
"""A pair of which one more label would count. The generated column ``pairs.open``."""

OPEN_PAIR: Final = "open"
"""A pair that can be handed out. ``ix_pairs_open``."""

NOT_TAKEN_BY_ANNOTATOR: Final = fill(
    """
    NOT EXISTS (
        SELECT FROM assignments AS own
        WHERE own.pair_id = pairs.id AND own.annotator_id = :annotator_id
            AND own.status IN ('held', 'answered')
        OFFSET 0
    )
    AND NOT EXISTS (
        SELECT FROM labels AS judged
        WHERE judged.pair_id = pairs.id AND judged.annotator = :annotator AND {live}
        OFFSET 0
    )
    """,
    live=LIVE_LABEL,
)
"""A pair that the annotator neither holds nor has judged, here or in an imported label.

Served by the unique indexes on pair and annotator of assignments and of live labels. ``OFFSET 0``
makes PostgreSQL look into them pair by pair; as a join, it might read whole indexes.
"""

FREE_TO_CLAIM: Final = f"{OPEN_PAIR} AND {NOT_TAKEN_BY_ANNOTATOR}"
"""A pair that can be handed out to the annotator ``:annotator_id``, named ``:annotator``."""

NEVER_HANDED_OUT: Final = "NOT handed_out AND arm <> 'imported'"
"""A pair of the plan that no annotator was ever given. ``ix_pairs_untouched``."""

OF_AUTOMATIC_LABELS: Final = "arm = 'automatic'"
"""A pair that is stored for its automatic labels alone: the planner may still choose it."""

UNSEEN_PAIR: Final = (
    f"{NEVER_HANDED_OUT} AND arm = 'strategy'"
    " AND held = 0 AND counted = 0 AND imported = 0 AND skips = 0"
)
"""A pair that the planner may remove from the plan: nobody has seen it, and it has no label."""
