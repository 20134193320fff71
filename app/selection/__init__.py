"""Choosing pairs: strategies and draws. Arrays in, arrays out; no database, no settings."""
