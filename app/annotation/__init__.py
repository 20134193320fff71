"""The transactional heart: plan -> claim -> assignment -> label -> ledger.

Whoever changes assignments, labels, a pair's counts or a ledger holds the project's row first.
"""
