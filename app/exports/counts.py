"""What became of the labelled pairs of a file: counted while it is written."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Every labelled pair is in a preferred pair or in exactly one of what was left out."""

    prompts: int = 0
    """With labels, in the split."""
    labelled_pairs: int = 0
    labels: int = 0
    """Of those pairs; skips are no labels."""
    votes: int = 0
    """The labels that prefer one response of a pair that is in the file."""
    agreeing_votes: int = 0
    pairs_with_several_labels: int = 0
    preferred_pairs: int = 0
    exploration_pairs: int = 0
    """Of the preferred ones."""
    undecided_pairs: int = 0
    """Ties, both bad, or as many votes for either."""
    pairs_below_agreement: int = 0
    pairs_of_one_text: int = 0
    cycles: int = 0
    pairs_dropped_for_cycles: int = 0
    rows: int = 0
