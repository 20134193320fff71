"""Prompts one by one: store them, add responses, list, look up, find similar ones, erase."""
