"""Exports: the labels as datasets that trainers load as they are; one module a recipe."""
