"""All SQL of the annotation room, a file for each thing that it does."""
