"""All SQL of the annotation room."""
