"""All SQL of the planner."""
