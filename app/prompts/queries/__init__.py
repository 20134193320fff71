"""All SQL of the prompts room."""
