"""Projects: one labelling effort each, with its settings, budget and counts."""
