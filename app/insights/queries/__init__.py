"""All SQL of the figures and metrics."""
