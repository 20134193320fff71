"""The commands `simulate` and `strategies`: compare strategies on a file with labels."""
