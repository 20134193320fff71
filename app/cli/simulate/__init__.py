"""The commands `simulate`, `embed` and `strategies`: compare strategies on a labelled file."""
