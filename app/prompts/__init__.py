"""Prompts: intake one by one and in bulk, listing, similar ones, and deletion."""
