"""The preference model of a project, fitted to the labels in the database."""
