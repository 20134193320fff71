"""Annotators, their keys and roles, and the projects they may see."""
