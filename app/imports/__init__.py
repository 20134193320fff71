"""Bulk intake: a stream of lines becomes prompts and labels."""
