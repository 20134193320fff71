"""Simulate strategies on data that is already labelled, to see how many labels each would save."""
