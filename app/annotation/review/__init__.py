"""Look labels and pairs up again: filter, count, search, and correct what is wrong."""
